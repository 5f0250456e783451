#pragma once
// Histogram: log-linear latency counts, 64 steps per power of two (error < 1.6 %), microseconds.
//
// Owner    one per thread; merged at the end.
// Thread   one.
// Limit    2^40 us.

#include <array>
#include <bit>
#include <cstdint>

namespace encke::bench {

class Histogram {
 public:
  void Add(std::uint64_t v) {
    ++counts_[Index(v)];
    ++total_;
    if (v > max_) max_ = v;
  }
  void Merge(const Histogram& other) {
    for (std::size_t i = 0; i < counts_.size(); ++i)
      counts_[i] += other.counts_[i];
    total_ += other.total_;
    if (other.max_ > max_) max_ = other.max_;
  }
  // The upper edge of the step that holds the q-th value, 0 < q <= 1.
  std::uint64_t At(double q) const {
    const auto want = static_cast<std::uint64_t>(q * static_cast<double>(total_) + 0.5);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen >= want && seen > 0) return Edge(i) < max_ ? Edge(i) : max_;
    }
    return max_;
  }
  std::uint64_t total() const { return total_; }
  std::uint64_t max() const { return max_; }

 private:
  static constexpr int kBits = 6;
  static std::size_t Index(std::uint64_t v) {
    if (v < (1U << (kBits + 1))) return v;
    const int shift = static_cast<int>(std::bit_width(v)) - kBits - 1;
    const std::size_t i = (static_cast<std::size_t>(shift) << kBits) + (v >> shift);
    return i < kSteps ? i : kSteps - 1;
  }
  static std::uint64_t Edge(std::size_t i) {
    if (i < (1U << (kBits + 1))) return i;
    const std::size_t shift = (i >> kBits) - 1;
    return (((i & ((1U << kBits) - 1)) + (1U << kBits) + 1) << shift) - 1;
  }
  static constexpr std::size_t kSteps = 40 << kBits;
  std::array<std::uint64_t, kSteps> counts_{};
  std::uint64_t total_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace encke::bench

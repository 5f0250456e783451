#pragma once
// Histogram: log-linear latency counts, 64 steps per power of two (error < 1.6 %), microseconds.
//
// Owner    one per thread; merged at the end.
// Thread   one.
// Limit    2^40 us.

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include <nlohmann/json.hpp>

namespace encke::bench {

class Histogram {
 public:
  void Add(std::uint64_t v) {
    ++counts_[Index(v)];
    ++total_;
    if (v > max_) max_ = v;
  }
  void Merge(const Histogram& other);
  // The upper edge of the step that holds the q-th value, 0 < q <= 1.
  std::uint64_t At(double q) const;
  std::uint64_t total() const { return total_; }
  std::uint64_t max() const { return max_; }

  // {"count":..,"p50":..,"p90":..,"p99":..,"p999":..,"max":..}
  nlohmann::ordered_json Summary() const;
  // The same with "steps" and "buckets" ([index, count] where count > 0): enough to merge exactly.
  nlohmann::ordered_json Sparse() const;

  static std::size_t Index(std::uint64_t v) {
    if (v < (1U << (kBits + 1))) return v;
    const int shift = static_cast<int>(std::bit_width(v)) - kBits - 1;
    const std::size_t i = (static_cast<std::size_t>(shift) << kBits) + (v >> shift);
    return i < kSteps ? i : kSteps - 1;
  }
  // The largest value of a step.
  static std::uint64_t Edge(std::size_t i) {
    if (i < (1U << (kBits + 1))) return i;
    const std::size_t shift = (i >> kBits) - 1;
    return (((i & ((1U << kBits) - 1)) + (1U << kBits) + 1) << shift) - 1;
  }

 private:
  static constexpr int kBits = 6;
  static constexpr std::size_t kSteps = 36 << kBits;
  std::array<std::uint64_t, kSteps> counts_{};
  std::uint64_t total_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace encke::bench

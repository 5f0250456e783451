#include "tally/histogram.h"

#include <cmath>

namespace encke::bench {

void Histogram::Merge(const Histogram& other) {
  for (std::size_t i = 0; i < counts_.size(); ++i)
    counts_[i] += other.counts_[i];
  total_ += other.total_;
  if (other.max_ > max_) max_ = other.max_;
}

std::uint64_t Histogram::At(double q) const {
  const auto want = static_cast<std::uint64_t>(std::ceil(q * static_cast<double>(total_)));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    seen += counts_[i];
    if (seen >= want && seen > 0) return Edge(i) < max_ ? Edge(i) : max_;
  }
  return max_;
}

nlohmann::ordered_json Histogram::Summary() const {
  return {{"count", total_}, {"p50", At(0.5)},    {"p90", At(0.9)},
          {"p99", At(0.99)}, {"p999", At(0.999)}, {"max", max_}};
}

nlohmann::ordered_json Histogram::Sparse() const {
  auto out = Summary();
  out["steps"] = 1 << kBits;
  auto buckets = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    if (counts_[i] > 0) buckets.push_back({i, counts_[i]});
  }
  out["buckets"] = std::move(buckets);
  return out;
}

}  // namespace encke::bench

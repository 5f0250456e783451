#include "base/metrics.h"

#include <algorithm>
#include <bit>

#include <fmt/core.h>

namespace encke {

void Histogram::Observe(std::uint64_t v) {
  const int width =
      v <= 1 ? 0 : static_cast<int>(std::bit_width(v - 1));  // smallest i with v <= 2^i
  buckets_[static_cast<std::size_t>(std::min(width, kBuckets - 1))].fetch_add(
      1, std::memory_order_relaxed);
  sum_.fetch_add(v, std::memory_order_relaxed);
}

std::uint64_t Histogram::count() const {
  std::uint64_t n = 0;
  for (const auto& b : buckets_)
    n += b.load(std::memory_order_relaxed);
  return n;
}

void MetricsWriter::Head(std::string_view name, std::string_view help, std::string_view type) {
  if (!headed_.emplace(name).second) return;
  text_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

void MetricsWriter::Sample(std::string_view name, std::string_view labels, double value) {
  text_ += labels.empty() ? fmt::format("{} {}\n", name, value)
                          : fmt::format("{}{{{}}} {}\n", name, labels, value);
}

void MetricsWriter::Count(std::string_view name,
                          std::string_view help,
                          std::string_view labels,
                          double value) {
  Head(name, help, "counter");
  Sample(name, labels, value);
}

void MetricsWriter::Level(std::string_view name,
                          std::string_view help,
                          std::string_view labels,
                          double value) {
  Head(name, help, "gauge");
  Sample(name, labels, value);
}

void MetricsWriter::Spread(std::string_view name,
                           std::string_view help,
                           std::string_view labels,
                           const Histogram& histogram,
                           double scale) {
  Head(name, help, "histogram");
  const std::string comma = labels.empty() ? "" : ",";
  std::uint64_t below = 0;
  for (int i = 0; i < Histogram::kBuckets; ++i) {
    below += histogram.bucket(i);
    const bool last = i == Histogram::kBuckets - 1;
    const std::string bound =
        last ? "+Inf" : fmt::format("{}", scale * static_cast<double>(std::uint64_t{1} << i));
    Sample(fmt::format("{}_bucket", name), fmt::format("{}{}le=\"{}\"", labels, comma, bound),
           static_cast<double>(below));
  }
  Sample(fmt::format("{}_sum", name), labels, static_cast<double>(histogram.sum()) * scale);
  Sample(fmt::format("{}_count", name), labels, static_cast<double>(below));
}

}  // namespace encke

#pragma once
// Metrics: plain counters with relaxed atomics, and a writer for the Prometheus text format.
//
// Owner    a daemon's Stats struct owns its counters; no registry, no singleton.
// Thread   any.  Hot paths count in shard-local integers and publish them when scraped.
// Limit    none; label values come from fixed sets, never from clients.

#include <array>
#include <atomic>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>

namespace encke {

class Counter {
 public:
  void Add(std::uint64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

class Gauge {
 public:
  void Set(std::int64_t v) { value_.store(v, std::memory_order_relaxed); }
  void Add(std::int64_t n) { value_.fetch_add(n, std::memory_order_relaxed); }
  std::int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> value_{0};
};

// Power-of-two buckets: bucket i counts values <= 2^i.  The unit is the caller's (micros, items).
class Histogram {
 public:
  static constexpr int kBuckets = 28;
  void Observe(std::uint64_t v);
  std::uint64_t count() const;
  std::uint64_t sum() const { return sum_.load(std::memory_order_relaxed); }
  std::uint64_t bucket(int i) const { return buckets_[i].load(std::memory_order_relaxed); }

 private:
  std::array<std::atomic<std::uint64_t>, kBuckets>
      buckets_{};  // the last also takes what is larger
  std::atomic<std::uint64_t> sum_{0};
};

inline double Value(const Counter& counter) { return static_cast<double>(counter.value()); }
inline double Value(const Gauge& gauge) { return static_cast<double>(gauge.value()); }

// Builds one exposition.  Help and type lines are written once per name, so samples of one name
// must follow each other.  labels: "" or `reason="slow",via="ws"`.
class MetricsWriter {
 public:
  void Count(std::string_view name, std::string_view help, std::string_view labels, double value);
  void Level(std::string_view name, std::string_view help, std::string_view labels, double value);
  // scale: multiplies bucket bounds and sum, e.g. 1e-6 turns observed micros into seconds.
  void Spread(std::string_view name,
              std::string_view help,
              std::string_view labels,
              const Histogram& histogram,
              double scale);
  std::string Take() { return std::move(text_); }

 private:
  void Head(std::string_view name, std::string_view help, std::string_view type);
  void Sample(std::string_view name, std::string_view labels, double value);

  std::set<std::string, std::less<>> headed_;
  std::string text_;
};

}  // namespace encke

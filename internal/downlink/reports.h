#pragma once
// Reports: what became here of the pushes whose sender asked; told to logic in absolute values. All
// entries of one push share a fate: those of its rooms, of its users, and one that job repaired.
//
// Owner    main of comet.
// Thread   any: guarded inside; the counts of a fate are written by the shards.
// Limit    pushes_max pushes at once: the oldest is forgotten and counted; one is forgotten
//          kQuietMs after its last news, when nothing of it is under way any more.

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "api/logic.pb.h"

#include "base/metrics.h"
#include "base/threads.h"
#include "hub/hub.h"

namespace encke::downlink {

class Reports {
 public:
  static constexpr std::int64_t kQuietMs = 60'000;

  explicit Reports(std::size_t pushes_max = 10'000) : pushes_max_(pushes_max) {}

  std::shared_ptr<hub::Fate> Open(const std::string& push_id);
  // Those with news since the last call.
  std::vector<PushReport> Collect(std::int64_t now_ms);
  const Counter& forgotten() const { return forgotten_; }

 private:
  struct Entry {
    std::string id;
    std::shared_ptr<hub::Fate> fate;
    std::uint64_t told = 0, told_queued = 0;  // how many it matched, and how many of them waited
    std::int64_t news_ms = -1;
  };
  struct Table {
    std::list<Entry> entries;                                                // the oldest first
    std::unordered_map<std::string_view, std::list<Entry>::iterator> by_id;  // the key is in it
    std::list<Entry>::iterator Erase(std::list<Entry>::iterator at) {
      by_id.erase(at->id);
      return entries.erase(at);
    }
  };

  const std::size_t pushes_max_;
  Counter forgotten_;
  Guarded<Table> table_;
};

inline PushReport ReportOf(const std::string& id, const hub::Fate& fate) {
  PushReport report;
  report.set_id(id);
  auto& counts = *report.mutable_counts();
  std::uint64_t sum = 0;
  const auto put = [&](const char* name, const std::atomic<std::uint64_t>& count) {
    const std::uint64_t value = count.load(std::memory_order_relaxed);
    if (value > 0) counts[name] = value;
    sum += value;
  };
  put("sent", fate.sent);
  // Those that wait may be dropped later: told even when there are none any more.
  sum += counts["queued"] = fate.queued.load(std::memory_order_relaxed);
  put("dropped_slow", fate.slow);
  put("dropped_conflated", fate.conflated);
  put("dropped_overflow", fate.overflow);
  put("excluded", fate.excluded);
  put("filtered", fate.filtered);
  put("expired", fate.expired);
  put("unknown", fate.unknown);
  counts["matched"] = sum;  // so that the sums agree at any moment
  return report;
}

inline std::shared_ptr<hub::Fate> Reports::Open(const std::string& push_id) {
  return table_.With([&](Table& table) {
    const auto known = table.by_id.find(push_id);
    if (known != table.by_id.end()) return known->second->fate;
    auto fate = std::make_shared<hub::Fate>();
    table.entries.push_back({.id = push_id, .fate = fate});
    const auto last = std::prev(table.entries.end());
    table.by_id.emplace(last->id, last);
    if (table.entries.size() > pushes_max_) {
      table.Erase(table.entries.begin());
      forgotten_.Add();
    }
    return fate;
  });
}

inline std::vector<PushReport> Reports::Collect(std::int64_t now_ms) {
  return table_.With([&](Table& table) {
    std::vector<PushReport> news;
    for (auto at = table.entries.begin(); at != table.entries.end();) {
      PushReport report = ReportOf(at->id, *at->fate);
      const std::uint64_t matched = report.counts().at("matched");
      const std::uint64_t queued = report.counts().at("queued");
      if (matched != at->told || queued != at->told_queued || at->news_ms < 0) {
        at->told = matched;
        at->told_queued = queued;
        at->news_ms = now_ms;
        news.push_back(std::move(report));
      }
      // While others hold its fate it may wait for a slow client, or a broadcast be under way.
      const bool over = now_ms - at->news_ms > kQuietMs && at->fate.use_count() == 1;
      at = over ? table.Erase(at) : std::next(at);
    }
    return news;
  });
}

}  // namespace encke::downlink

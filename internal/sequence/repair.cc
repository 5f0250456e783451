#include "sequence/repair.h"

#include <future>
#include <memory>
#include <utility>

#include "base/clock.h"
#include "timeline/plan.h"

namespace encke::sequence {

namespace {

// What is there may be delivered, however old: only logic knows the age that is wanted.
constexpr Duration kAnyAge{std::chrono::hours(24 * 3650)};

}  // namespace

Sequencer::Ports RepairFrom(store::Timelines& timelines) {
  Sequencer::Ports ports;
  ports.now_ms = MonotonicMs;
  ports.read = [&timelines](const std::string& name, std::uint64_t epoch, std::uint64_t after,
                            std::uint64_t before) -> Result<std::vector<Sequencer::Entry>> {
    auto answer = std::make_shared<std::promise<Result<store::TimelinePage>>>();
    auto future = answer->get_future();
    store::Timelines::Range range;
    range.after = after;
    range.before = before;
    timelines.Read(name, kAnyAge, range, [answer](Result<store::TimelinePage> page) {
      answer->set_value(std::move(page));
    });
    Result<store::TimelinePage> page = future.get();
    if (!page) return page.error();
    std::vector<Sequencer::Entry> entries;
    if (page->head.epoch != epoch) return entries;
    for (store::TimelineEntry& entry : page->entries) {
      entries.push_back({entry.seq, entry.time_ms,
                         timeline::Numbered(std::move(entry.payload), epoch, entry.seq)});
    }
    return entries;
  };
  return ports;
}

}  // namespace encke::sequence

#pragma once
// History: pages of a timeline, both ways, by number or by time: from Redis what is there, from the
// archive what is older (types with durable history).
//
// Owner    main of logic; borrows store::Timelines and the plan.  Redis is stopped before it goes.
// Thread   any; answers on the Redis thread, on a thread of its own (what needs the archive), or
//          inline when refused at once.
// Limit    a page of store::Timelines an answer; kWaitingMax questions for the archive.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "store/timelines.h"
#include "timeline/archive.h"
#include "timeline/plan.h"

namespace encke::timeline {

struct HistoryQuery {
  std::string timeline;
  std::uint64_t epoch = 0;       // 0: the one that is now
  std::uint64_t after_seq = 0;   // exclusive
  std::uint64_t before_seq = 0;  // exclusive; 0: no border
  std::int64_t after_ms = 0;     // from this moment on; 0: not asked
  std::int64_t before_ms = 0;    // before this moment; 0: not asked
  std::uint64_t reader = 0;      // epoch in which its reader counts; 0: it has none
  std::size_t limit = 100;
  bool newest_first = false;
};

class History {
 public:
  static constexpr std::size_t kWaitingMax = 1000;
  using OnPage = std::function<void(Result<store::TimelinePage>)>;
  using OnDone = std::function<void(Status)>;

  History(store::Timelines& timelines, const TimelinePlan& plan, ArchivePorts archive = {});
  ~History();  // what waits is answered kClosed
  History(const History&) = delete;
  History& operator=(const History&) = delete;

  // kNotFound: nothing is kept of that name.
  void Page(const HistoryQuery& query, const OnPage& done);
  // Up to this number; 0 = all.
  void Purge(const std::string& name, std::uint64_t upto, const OnDone& done);

 private:
  class Worker;
  using Head = store::TimelineHead;
  void Locate(const HistoryQuery& query, const Head& head, const OnPage& done);
  void Read(const HistoryQuery& query, const OnPage& done);
  void Extend(const HistoryQuery& query, store::TimelinePage page, const OnPage& done);
  Result<store::TimelinePage> Older(const HistoryQuery& query, store::TimelinePage page) const;
  bool Durable(const std::string& name) const;

  store::Timelines& timelines_;
  const TimelinePlan& plan_;
  const Archive archive_;
  std::unique_ptr<Worker> worker_;
};

}  // namespace encke::timeline

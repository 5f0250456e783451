#pragma once
// History: pages of a timeline, both ways, by number or by time.
//
// Owner    main of logic; borrows store::Timelines and the plan.
// Thread   any; answers on the Redis thread, or inline when refused at once.
// Limit    a page of store::Timelines an answer.

#include <cstdint>
#include <functional>
#include <string>

#include "store/timelines.h"
#include "timeline/plan.h"

namespace encke::timeline {

struct HistoryQuery {
  std::string timeline;
  std::uint64_t after_seq = 0;   // exclusive
  std::uint64_t before_seq = 0;  // exclusive; 0: no border
  std::int64_t after_ms = 0;     // from this moment on; 0: not asked
  std::int64_t before_ms = 0;    // before this moment; 0: not asked
  std::size_t limit = 100;
  bool newest_first = false;
};

class History {
 public:
  using OnPage = std::function<void(Result<store::TimelinePage>)>;
  using OnDone = std::function<void(Status)>;

  History(store::Timelines& timelines, const TimelinePlan& plan);
  History(const History&) = delete;
  History& operator=(const History&) = delete;

  // kNotFound: nothing is kept of that name.
  void Page(const HistoryQuery& query, const OnPage& done);
  // Up to this number; 0 = all.
  void Purge(const std::string& name, std::uint64_t upto, const OnDone& done);

 private:
  void Read(const HistoryQuery& query, const OnPage& done);

  store::Timelines& timelines_;
  const TimelinePlan& plan_;
};

}  // namespace encke::timeline

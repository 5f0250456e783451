#include "timeline/history.h"

#include <utility>

namespace encke::timeline {

History::History(store::Timelines& timelines, const TimelinePlan& plan)
    : timelines_(timelines), plan_(plan) {}

void History::Page(const HistoryQuery& query, const OnPage& done) {
  if (plan_.Of(query.timeline) == nullptr) {
    return done(Error{Errc::kNotFound, "nothing is kept there"});
  }
  const std::int64_t time_ms = query.after_ms > 0 ? query.after_ms : query.before_ms;
  if (time_ms == 0) return Read(query, done);
  timelines_.FindTime(query.timeline, time_ms,
                      [this, query, done](const Result<std::uint64_t>& before) {
                        if (!before) return done(before.error());
                        HistoryQuery numbered = query;
                        if (query.after_ms > 0) {
                          numbered.after_seq = *before;
                        } else {
                          numbered.before_seq = *before + 1;
                        }
                        Read(numbered, done);
                      });
}

void History::Read(const HistoryQuery& query, const OnPage& done) {
  store::Timelines::Range range;
  range.after = query.after_seq;
  range.before = query.before_seq;
  range.limit = query.limit;
  range.newest_first = query.newest_first;
  timelines_.Read(query.timeline, plan_.Of(query.timeline)->hot.age, range, done);
}

void History::Purge(const std::string& name, std::uint64_t upto, const OnDone& done) {
  if (plan_.Of(name) == nullptr) return done(Error{Errc::kNotFound, "nothing is kept there"});
  timelines_.Purge(name, upto, done);
}

}  // namespace encke::timeline

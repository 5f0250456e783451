#pragma once
// Asks: answers what sessions ask about timelines: where they are, what was missed, how far a
// device is.  Publishing is somebody else's: Publisher.
//
// Owner    main of logic; borrows store::Timelines, History and the plan.
// Thread   any; answers on the Redis thread, or inline when refused at once.
// Limit    kHeadsMax timelines a question, kPushesMax pushes an answer; questions under way are
//          bounded by the stream that brings them.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "api/logic.pb.h"

#include "base/metrics.h"
#include "store/timelines.h"
#include "timeline/history.h"
#include "timeline/plan.h"

namespace encke::timeline {

struct AskCounts {
  Counter heads, fetches, cursors, publishes;  // asked
  Counter refused;                             // answered with an error that will not pass
  Counter failed;                              // answered with one that may
  Counter reloads;                             // asked for what is gone
  Counter pushes;                              // fetched
};

class Asks {
 public:
  static constexpr int kHeadsMax = 1000;
  static constexpr std::uint32_t kPushesMax = 1000;

  using Answer = std::function<void(Reply)>;
  // Who publishes for a client; the reply is complete but for its id.
  using Publisher = std::function<void(const Request&, Answer)>;

  Asks(store::Timelines& timelines, History& history, const TimelinePlan& plan, Publisher publish);
  Asks(const Asks&) = delete;
  Asks& operator=(const Asks&) = delete;

  void Ask(const Request& request, const Answer& done);
  const AskCounts& counts() const { return counts_; }

 private:
  void AskHeads(const Request& request, const Answer& done);
  void AskFetch(const Request& request, const Answer& done);
  void AnswerFetch(const Request& request, store::TimelinePage page, const Answer& done);
  void AskCursor(const Request& request, const Answer& done);
  void Refuse(std::uint64_t id, const Error& error, const Answer& done);
  // Null: not a timeline, or somebody else's inbox.
  const KeptOptions* Kept(const Request& request, const std::string& name) const;

  store::Timelines& timelines_;
  History& history_;
  const TimelinePlan& plan_;
  const Publisher publish_;
  AskCounts counts_;
};

}  // namespace encke::timeline

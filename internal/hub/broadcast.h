#pragma once
// Broadcasts: pushes to everybody, walked over the channels by slot.
//
// Two queues: those without a rate run as fast as turns come; paced ones spend tokens that accrue
// with the time, so that a slow campaign never holds up an alarm.  Within each queue one goes after
// the other.  A channel that takes the slot of one that left may get a broadcast that is older.
//
// Owner    Hub.
// Thread   the shard's.  A sink may let channels come and go while it is called.
// Limit    broadcasts_max in both queues together.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <string_view>

#include "hub/batch.h"
#include "hub/channels.h"
#include "hub/room.h"

namespace encke::hub {

class Broadcasts {
 public:
  using Done = std::function<void(std::size_t)>;

  // options: they outlive it.
  Broadcasts(const HubOptions& options,
             Channels& channels,
             AcceptSets& accepts,
             Sink& sink,
             HubCounts& counts);

  bool Add(const Push& push, double rate, Done done);  // false: full
  // At most sends_max from each queue.  False: nothing could be done now.
  bool Turn(std::int64_t now_us, std::size_t sends_max, Tally* tally);
  bool Ready(std::int64_t now_us) const;
  std::int64_t NextPaceMs(std::int64_t now_ms) const;
  std::size_t BytesUsed() const;

 private:
  struct Walk {
    std::int32_t op = 0;
    Outgoing bytes;
    double rate = 0;
    Done done;
    std::shared_ptr<const Extras> extras = nullptr;
    std::int64_t expires_us = 0;
    Slot next = 0;
    Slot end = 0;  // who comes into a slot beyond is not concerned
    std::size_t reached = 0;
    double tokens = 1;           // the first one may go at once
    std::int64_t since_us = -1;  // tokens are reckoned up to here; -1 = not begun
  };

  bool TurnAtOnce(std::size_t sends_max, Tally* tally);
  bool TurnPaced(std::int64_t now_us, std::size_t sends_max, Tally* tally);
  bool Visit(Walk& walk, Tally* tally);  // one slot; true: it was sent something
  void DropExpired(std::deque<Walk>& queue);
  void Finish(std::deque<Walk>& queue);

  const std::size_t broadcasts_max_;
  const std::function<std::int64_t()> wall_us_;
  const Rules& rules_;
  Channels& channels_;
  AcceptSets& accepts_;
  Sink& sink_;
  HubCounts& counts_;
  std::deque<Walk> at_once_;
  std::deque<Walk> paced_;
};

}  // namespace encke::hub

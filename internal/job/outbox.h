#pragma once
// Outbox: what one comet has to get and has not acknowledged yet, in order per partition.
//
// A lane per partition: entries that were sent come first, then those that wait.  An entry leaves
// when the comet acknowledges it, or when somebody who knows better drops it; so the oldest entry
// of a lane is what holds the partition's checkpoint back.
//
// Beside it, what the comet does not want as far as we know: its word may be out of date when its
// stream is dead and nobody has told us.  Such doubts hold the checkpoint back, too, until the
// comet has proved that it counted on us all the time; else they go the way of all entries.
//
// Owner    CometLink, under its lock.
// Thread   none of its own.
// Limit    bytes() counts; CometLink holds it against link.queue_bytes_max before Add.  Doubts are
//          bounded by doubt_bytes_max: past it the oldest are given up (Doubt says how many).

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "api/comet.pb.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/units.h"

namespace encke::job {

enum class Kind : std::uint8_t { kPush, kRoom, kBroadcast };  // as in api/push.proto

// One log entry; made once by the partition's reader, shared by all outboxes.
struct Message {
  int partition = 0;
  std::uint64_t fence = 0;
  std::uint64_t log = 0;  // which log `seq` belongs to
  std::uint64_t seq = 0;
  Kind kind = Kind::kPush;
  std::string server;  // kPush
  std::string room;    // kRoom
  int speed = 0;       // kBroadcast
  std::int64_t accepted_us = 0;
  std::string payload;              // as it is on the log
  std::vector<std::string> before;  // what the log did not bring: to be delivered first
};
using SharedMessage = std::shared_ptr<const Message>;

struct OutboxOptions {
  std::size_t batch_bytes_max = kMega;  // of payload in one PushDown
  Duration room_signal{0};              // > 0: room messages are held back so long ...
  int room_batch = 20;                  // ... or until a room has so many
  std::size_t doubt_bytes_max = 16 * kMega;
};

class Outbox {
 public:
  explicit Outbox(const OutboxOptions& options) : options_(options) {}

  static std::size_t Cost(const Message& message);

  // Ascending seq within a partition; a newer fence, or another log, replaces what is there of the
  // older one.
  void Add(SharedMessage message, double rate, std::int64_t now_us);
  // Not wanted, as far as is known; `proof` is the tick that will prove it.  Answers how many
  // doubts had to be given up.
  std::size_t Doubt(SharedMessage message, std::uint64_t proof);
  void Trust(std::uint64_t tick);  // proved up to there
  bool doubtful() const { return doubt_bytes_ > 0; }

  // Something waits and may leave now.
  bool Due(std::int64_t now_us) const;
  // Adds batches of what waits, in order, lanes in turn; answers how many entries.
  std::size_t Pack(PushDown* out, std::int64_t now_us);
  // Answers how many entries went; their time since Add is counted in `ack_us`.
  std::size_t Ack(const PushAck& ack, std::int64_t now_us, Histogram* ack_us);

  // Each answers how many entries it concerned.
  std::size_t Rewind();    // what was sent has to be sent again
  void AddDoubts();        // what is in doubt waits, in its place by seq; nothing may be sent now
  std::size_t DropSent();  // what was sent will never be acknowledged
  std::size_t DropRooms(const std::function<bool(const std::string& room)>& wanted);  // if waiting
  std::size_t Forget(int partition);
  std::size_t Clear();

  std::optional<std::uint64_t> Oldest(int partition) const;  // seq
  std::size_t bytes() const { return bytes_; }
  std::size_t entries() const { return entries_; }
  std::size_t waiting() const { return waiting_; }

 private:
  struct Entry {
    SharedMessage message;
    double rate = 0;
    std::int64_t added_us = 0;
  };
  struct Doubtful {
    SharedMessage message;
    std::uint64_t proof = 0;
  };
  struct Lane {
    std::deque<Doubtful> doubts;
    std::uint64_t fence = 0;
    std::uint64_t log = 0;
    std::deque<Entry> entries;
    std::size_t sent = 0;  // so many of the first
  };

  Lane& LaneOf(const Message& message);
  void PopDoubt(Lane& lane);
  std::size_t PackLane(int partition, Lane& lane, std::size_t* budget, PushDown* out);
  void PopSent(Lane& lane);
  void Settle();  // after something that waited went

  const OutboxOptions options_;
  std::map<int, Lane> lanes_;
  int turn_ = 0;  // the partition whose lane is packed first
  std::size_t bytes_ = 0;
  std::size_t doubt_bytes_ = 0;
  std::size_t entries_ = 0;
  std::size_t waiting_ = 0;
  // Of what waits, when room_signal > 0:
  bool due_ = false;
  std::int64_t waiting_since_us_ = 0;
  std::unordered_map<std::string, int> gathered_;
};

}  // namespace encke::job

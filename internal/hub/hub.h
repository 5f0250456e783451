#pragma once
// Hub: who is here, on one shard: channels, rooms, batches.  Knows no socket.
//
// A channel is an authenticated connection, named by its slot (parallel to net's slab).  A push to
// a room joins the room's gathering batch; Flush walks rooms in slices: each member gets the whole
// batch with one Sink::Send.  While a big room is being walked new pushes gather into its next
// batch.
//
// A channel of version 1 is in one room at most, one of version 2 in many.  Of a room that is a
// timeline the newest number is remembered, and what is not newer is dropped as a repeat.
//
// Rooms with something to send and broadcasts take turns of a few sends, so that neither a big room
// nor a broadcast holds up a small one.  room.h says how a walk stays exact while members come and
// go.
//
// A room that sends more than hot_bytes_per_s may gather its pushes a little longer, if its type
// has a window: after a batch the next one begins when the budget has paid for it, at most that
// window later.  So a lone push and a small room never wait.
//
// Owner    comet's Shard.
// Thread   the shard's; counts() any.  The sink may call Leave, Join and the pushes from inside
//          Send, but not Flush.
// Limit    batch_bytes_max, batch_messages_max per batch; rooms_max; pending_bytes_max over all
//          gathering batches (past it: PushRoom answers kDropped, counted by the caller);
//          broadcasts_max waiting (likewise); accepts_max operations per channel, the rest ignored.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backlog/item.h"
#include "backlog/rules.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/metrics.h"
#include "base/units.h"
#include "wire/push.h"

namespace encke::hub {

using Slot = std::uint32_t;

// How packages are wrapped for a channel, and in which version of the protocol they are.
enum class Format : std::uint8_t { kTcp, kWs, kTcp2, kWs2 };
inline constexpr std::size_t kFormats = 4;
constexpr bool IsTwo(Format format) { return format >= Format::kTcp2; }

enum class Taken : std::uint8_t { kSent, kQueued, kDropped, kBusy };

using backlog::Fate;
using backlog::Policy;
using backlog::Rule;
using backlog::Rules;

// What a push may bring along beside its bytes.  Such a push is a batch of its own.
struct Extras {
  std::vector<std::string> not_keys;
  std::vector<std::int64_t> not_mids;
  std::vector<std::string> not_platforms;
  std::shared_ptr<Fate> fate;  // null = nobody asks
  bool Excludes() const { return !not_keys.empty() || !not_mids.empty() || !not_platforms.empty(); }
};

struct Push {
  wire::Push what;
  std::shared_ptr<const Extras> extras = nullptr;  // nearly always
  std::int64_t expires_us = 0;     // wall clock; ends a broadcast under way; 0 = never
  std::string_view conflate = {};  // the name under which newer ones replace it where it waits
};

// Pushes that a channel was not sent.
struct Miss {
  enum class Why : std::uint8_t { kSlow, kExcluded };
  std::string_view room = {};                 // of the push; empty = none
  std::uint64_t epoch = 0, from = 0, to = 0;  // in its timeline; 0 = in none
  std::size_t lost = 0;
  Why why = Why::kSlow;
};

class Sink {
 public:
  virtual ~Sink() = default;
  // The same bytes go to many; hold a reference instead of a copy.  messages: how many pushes the
  // bytes carry, for counting.  rule: theirs.  kBusy, only while there are rules that are apart:
  // nothing was taken, they must wait one by one.
  virtual Taken Send(Slot slot,
                     const SharedBytes& bytes,
                     std::size_t messages,
                     const Rule& rule) = 0;
  // After kBusy, for each of them in order.
  virtual Taken Wait(Slot, const backlog::ItemPtr&) { return Taken::kDropped; }
  // Extras::Excludes() is true: does it mean this one?
  virtual bool Excluded(Slot, const Extras&) { return false; }
  // After Send refused: of a room's pushes to either version, of others to version 2.  After
  // Excluded was true: to version 2, of numbered pushes.
  virtual void Missed(Slot, const Miss&) {}
};

struct HubOptions {
  std::size_t batch_bytes_max = 256 * kKilo;
  std::size_t batch_messages_max = 10'000;  // goim's room.batch is job's, not this
  std::size_t pending_bytes_max = 256 * kMega;
  std::size_t rooms_max = 4'000'000;
  std::size_t broadcasts_max = 1024;
  std::size_t accepts_max = 10'000;
  std::size_t sends_per_turn = 32;          // then the clock is looked at and the next room goes on
  std::size_t hot_bytes_per_s = 8 * kMega;  // of one room here, to all its members together
  std::map<std::string, Duration> hot_windows = {};     // by room type, "*" = every other; none = 0
  Rules rules = {};                                     // for who is slow
  std::uint32_t renumber_at = 0x80000000;               // see room.h; small in tests only
  std::function<std::int64_t()> now_us = &MonotonicUs;  // for slices and pacing
  std::function<std::int64_t()> wall_us = &WallUs;      // for expiry
};

enum class Pushed : std::uint8_t {
  kQueued,    // on its way to everybody concerned
  kNobody,    // no such key or room here
  kFiltered,  // the channel does not accept this operation
  kRepeat,    // its timeline is past it
  kDropped,   // a bound was reached, or the sink refused
};

struct HubCounts {
  Counter deliveries;  // pushes that the sink took, if only to wait: one for each and channel
  Counter dropped;     // pushes that the sink refused
  Counter excluded;    // pushes that were not for a channel although the target named it
  Counter repeats;     // pushes whose timeline was past them
  Counter expired;     // broadcasts that ended before everybody had them
  Counter batches;     // walks of a room that began
  Counter widened;     // times a hot room's next batch was made to wait
  Counter room_pushes, key_pushes, broadcasts;  // that concerned somebody here
  Histogram batch_messages;                     // messages per batch
};

class Hub {
 public:
  Hub(const HubOptions& options, Sink& sink);
  ~Hub();
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  // Channels.  accepts: operations, any order.
  void Enter(Slot slot, Format format, const Key& key, const std::vector<std::int32_t>& accepts);
  void Leave(Slot slot);  // also out of its room
  bool Has(Slot slot) const;
  bool Is(Slot slot, std::string_view key) const;  // here, and with this key
  std::string KeyOf(Slot slot) const;
  void Watch(Slot slot, const std::vector<std::int32_t>& operations);    // op 14
  void Unwatch(Slot slot, const std::vector<std::int32_t>& operations);  // op 16

  // Rooms.  A push before Join's return is not seen by the channel, one after it is.
  struct Change {
    bool first = false;    // the room had no member on this shard before
    bool refused = false;  // rooms_max; the channel stays where it was
  };
  Change Join(Slot slot, const RoomId& room);  // version 1 leaves its old room
  bool LeaveRoom(Slot slot);                   // version 1; true: the old room is empty here now
  bool LeaveRoom(Slot slot, std::string_view room);  // version 2; false: it is not in it
  std::string_view RoomOf(Slot slot) const;          // version 1; empty = none
  bool In(Slot slot, std::string_view room) const;   // either version
  std::vector<std::string> RoomsOf(Slot slot) const;
  std::size_t RoomCount(Slot slot) const;
  std::vector<Slot> Members(std::string_view room) const {
    std::size_t end = std::numeric_limits<std::size_t>::max();
    return Members(room, &end, end);
  }
  // In pieces, as Room::SlotsBefore says; none: that was all.
  std::vector<Slot> Members(std::string_view room, std::size_t* end, std::size_t most) const;
  std::size_t MembersHere(std::string_view room) const;
  void EachRoom(const std::function<void(std::string_view room, std::size_t members)>& visit) const;
  // Called with every room whose first member came or last member went, in loop.  Not to call back.
  std::function<void(std::string_view room, bool present)> on_presence;

  // Pushes.  Order per room is the order of PushRoom; order per channel of PushKey likewise.
  Pushed PushRoom(std::string_view room, const Push& push);
  // Operations that the channel does not accept are filtered, but not in an inbox of version 2: its
  // numbers have no holes.
  Pushed PushKey(Slot slot, const Push& push);  // slot found by the directory
  // To every channel that accepts op, at most `rate` a second (0 = all in slices, at once).
  // Several broadcasts run one after the other, but one without a rate overtakes those with one.
  // done(reached), which may be null, when the walk ended.
  Pushed PushAll(const Push& push, double rate, std::function<void(std::size_t)> done);

  // The same, of an operation and a body alone.
  Pushed PushRoom(std::string_view room, std::int32_t op, std::string_view body) {
    return PushRoom(room, Push{.what = {.op = op, .body = body}});
  }
  Pushed PushKey(Slot slot, std::int32_t op, std::string_view body) {
    return PushKey(slot, Push{.what = {.op = op, .body = body}});
  }
  Pushed PushAll(std::int32_t op,
                 std::string_view body,
                 double rate,
                 std::function<void(std::size_t)> done) {
    return PushAll(Push{.what = {.op = op, .body = body}}, rate, std::move(done));
  }

  // Works until nothing is left or budget_us is used up.  True: call again soon.
  bool Flush(std::int64_t budget_us);
  // Milliseconds until a paced broadcast or a hot room can go on; -1 = none waits.  now_ms: the
  // clock of HubOptions::now_us, in milliseconds.
  std::int64_t NextPaceMs(std::int64_t now_ms) const;

  std::size_t size() const;   // channels
  std::size_t rooms() const;  // one that emptied just now may count until the next Flush
  HubCounts& counts();
  std::size_t BytesUsed() const;  // constant time

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace encke::hub

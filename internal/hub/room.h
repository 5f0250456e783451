#pragma once
// Room: its members, the batches that wait for them, and the walk that hands one batch out.
//
//   members:  [ done | to do ]     while a batch is walked; a newcomer is appended
//
// Removal moves at most one member across the border, so nobody is missed or met twice.  The
// messages of a room are numbered and a member knows the number it begins with: so a newcomer gets
// exactly what was pushed after it joined, from a batch that was gathering too.  Numbers start
// again long before they could wrap.
//
// Owner    Rooms, and that one Hub.
// Thread   the shard's.  A sink may add and remove members and push while it is called.
// Limit    BatchLimits per batch; the hub bounds the sum.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "hub/batch.h"

namespace encke::hub {

// What one turn of the hub did; added to the counters once per turn.
struct Tally {
  std::int64_t now_us = 0;    // when the turn began
  std::size_t visits = 0;     // members looked at
  std::size_t delivered = 0;  // pushes
  std::size_t dropped = 0;    // pushes
  std::size_t excluded = 0;   // pushes
  std::size_t begun = 0;      // bytes that left a gathering batch
  void Add(Taken taken, std::size_t messages) {
    (taken == Taken::kDropped ? dropped : delivered) += messages;
  }
};

// Counts in the fate that a push may have.
void AddFate(const Extras* extras, Taken taken);
void AddFate(const Extras* extras,
             std::atomic<std::uint64_t> Fate::*why,
             std::uint64_t connections = 1);
// The push is not for this channel although its target names it.
inline bool LeavesOut(Sink& sink, Slot slot, const Extras* extras) {
  return extras != nullptr && extras->Excludes() && sink.Excluded(slot, *extras);
}

class Room {
 public:
  const std::string& id() const { return id_; }
  std::size_t size() const { return members_.size(); }

  std::uint32_t Add(Slot slot, Format format);  // its position
  // moved(slot, position) for each of the at most two who got another place.
  void Remove(std::uint32_t position, const std::function<void(Slot, std::uint32_t)>& moved);

  std::size_t Gather(const BatchLimits& limits, const Push& push);  // bytes added
  // One batch at most, and until tally->visits reaches visits_max.  True: more waits.
  bool Walk(const BatchLimits& limits,
            std::size_t visits_max,
            Sink& sink,
            HubCounts& counts,
            Tally* tally);
  // False: the room's timeline is past it.  After a new epoch nothing of the one before is taken.
  bool Advance(std::uint64_t epoch, std::uint64_t seq);
  // When its next batch may begin; 0 = now.
  std::int64_t HeldUntilUs(std::int64_t now_us) const;
  std::size_t BytesHeld() const;  // id, members and head
  // Those in front of position *end, at most `most`; *end is moved in front of them.  Removal moves
  // members to the front only, so who asks on from there misses nobody who stays, and may meet
  // some twice.
  std::vector<Slot> SlotsBefore(std::size_t* end, std::size_t most) const;

 private:
  friend class Rooms;
  struct Member {
    std::uint32_t slot : 30;
    std::uint32_t format : 2;
    std::uint32_t since;  // the number of the first message it may see
  };
  static_assert(sizeof(Member) == 8, "the walk reads nothing else");
  // The newest number of the room's timeline.
  struct Head {
    std::uint64_t epoch = 0, seq = 0;
    std::uint64_t before = 0;  // the epoch before
  };
  struct Pending {
    std::vector<Batch> batches;
    std::optional<Outgoing> going;  // the batch that is being walked
    std::uint32_t first = 0;        // its first message
    std::uint32_t messages = 0;
    std::uint32_t done = 0;  // members before this position have had it
    std::uint64_t epoch = 0, from = 0, to = 0;
    std::shared_ptr<const Extras> extras;
  };

  void Begin(const BatchLimits& limits, HubCounts& counts, Tally* tally);
  void Renumber(std::uint32_t base);
  template <auto kSendTo>
  bool WalkMembers(std::size_t visits_max, Sink& sink, Tally* tally);
  void SendTo(Member member, Sink& sink, Tally* tally);
  void WaitApart(Member member, std::uint32_t skip, Sink& sink, Tally* tally);
  void SendWithExtras(Member member, Sink& sink, Tally* tally);
  void Tell(Member member, Sink& sink, Miss::Why why, std::uint32_t lost) const;
  void DropPending(Tally* tally);

  std::string id_;
  std::vector<Member> members_;
  std::unique_ptr<Pending> pending_;  // null while nothing waits, which is nearly always
  std::unique_ptr<Head> head_;        // null: it is no timeline, as far as is known here
  const Rule* rule_ = &backlog::kPlainRule;
  std::uint32_t twos_ = 0;          // members of version 2
  std::uint32_t next_ = 0;          // number of the next message
  bool listed_ = false;             // in Rooms' list of those with something to send
  std::uint32_t window_us_ = 0;     // 0: it never waits
  std::int64_t not_before_us_ = 0;  // what its last batch has cost is paid then
};

// All rooms of one hub, found by id and by a small number, and the turn they take.
class Rooms {
 public:
  // options: they outlive it.
  explicit Rooms(const HubOptions& options)
      : rooms_max_(options.rooms_max), hot_windows_(options.hot_windows), rules_(options.rules) {}

  Room& At(std::uint32_t number) { return slab_[number]; }
  const Room& At(std::uint32_t number) const { return slab_[number]; }
  std::optional<std::uint32_t> NumberOf(std::string_view id) const;
  std::optional<std::uint32_t> FindOrMake(std::string_view id);  // none: rooms_max
  // As Room::Add and Room::Remove.
  std::uint32_t AddMember(std::uint32_t number, Slot slot, Format format);
  void RemoveMember(std::uint32_t number,
                    std::uint32_t position,
                    const std::function<void(Slot, std::uint32_t)>& moved);
  bool Advance(std::uint32_t number, std::uint64_t epoch, std::uint64_t seq);  // as Room's
  // Frees it if it has no members and is not listed.
  void Retire(std::uint32_t number);

  // The rooms with something to send, first in first out, each at most once.
  void List(std::uint32_t number);
  bool anything_listed() const { return !listed_.empty(); }
  std::uint32_t NextListed() const { return listed_.front(); }
  void Rotate(bool more);  // the next one had its turn: to the end of the list, or out of it
  // True: the next one's batch must wait; it left the list, and is listed in all other respects.
  bool HoldNext(std::int64_t now_us);
  void ReleaseDue(std::int64_t now_us);
  void ReleaseFull(std::uint32_t number);  // if it is held and has a whole batch waiting
  std::int64_t NextReleaseUs() const;      // -1 = none is held

  std::size_t size() const { return by_id_.size(); }
  void Each(const std::function<void(const Room&)>& visit) const;
  std::size_t BytesUsed() const;  // constant time; without what waits to be sent

 private:
  std::uint32_t WindowOf(std::string_view type) const;

  const std::size_t rooms_max_;
  const std::map<std::string, Duration>& hot_windows_;
  const Rules& rules_;
  std::size_t held_ = 0;   // sum of BytesHeld
  std::deque<Room> slab_;  // never moves a room
  std::vector<std::uint32_t> free_;
  std::unordered_map<std::string_view, std::uint32_t> by_id_;  // the key lives in the room
  std::deque<std::uint32_t> listed_;
  std::multimap<std::int64_t, std::uint32_t> resting_;  // by the time of release: a few hot rooms
};

}  // namespace encke::hub

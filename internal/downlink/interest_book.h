#pragma once
// Book: the rule of Interest: rooms in the order of their last change, who was told up to where,
// who waits.  Without lock or clock; what is to be called is handed back in Calls.
//
// Owner    Interest.
// Thread   under Interest's lock.
// Limit    see interest.h.

#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "api/comet.pb.h"

#include "downlink/interest.h"

namespace encke::downlink {

// Where a change stands in the order of all changes.
using Version = std::uint64_t;

struct Room {
  std::string name;
  std::uint32_t shards = 0;  // that have a member of it
  bool left = false;         // told to jobs as left; kept until they know
  bool lingers = false;      // stands in the list of lingers
  std::int64_t keep_until = 0;
};

struct Job {
  struct Filled {
    std::uint64_t number;
    Version upto;
  };

  std::function<void()> kick;
  bool kicked = false;    // since its last Fill
  bool fresh = true;      // wants the snapshot first
  bool gathering = true;  // was not told all of it yet
  std::string name;       // "": has not said yet
  Version since = 0;      // connected then: rooms left before do not concern it
  Version told = 0;
  Version confirmed = 0;
  std::uint64_t number = 0;
  std::deque<Filled> unconfirmed;
};

struct Waiter {
  std::int64_t deadline;
  std::function<void(bool)> done;
};

struct Linger {
  std::int64_t until;
  Version version;
};

// What to call when the lock is given back.
struct Calls {
  std::vector<std::function<void()>> kicks;
  std::vector<std::function<void(bool)>> done;
  bool in_time = true;
  void Run() const {
    for (const auto& kick : kicks)
      kick();
    for (const auto& call : done)
      call(in_time);
  }
};

using RoomMap = std::map<Version, Room>;

class Book {
 public:
  explicit Book(const InterestOptions& options, InterestCounts& counts)
      : options_(options), counts_(counts) {}

  RoomMap::iterator Declare(std::string_view name, Calls* calls);
  void KeepUntil(RoomMap::iterator at, std::int64_t until);
  void Present(std::string_view name, bool present, std::int64_t now, Calls* calls);
  bool Known(RoomMap::iterator at) const { return at->first <= known_; }
  void Wait(RoomMap::iterator at, Waiter waiter);
  void EndLingers(std::int64_t now, Calls* calls);
  void EndWaits(std::int64_t now, Calls* calls);
  void EndGraces(std::int64_t now, Calls* calls);

  void Expect(const std::vector<std::string>& jobs, Calls* calls);
  std::size_t missing() const;
  void Named(Interest::JobId id, const std::string& name, Calls* calls);
  Interest::JobId AddJob(std::function<void()> kick);
  void RemoveJob(Interest::JobId id, std::int64_t now, Calls* calls);
  bool Fill(Interest::JobId id, ::encke::Interest* out);
  void Confirmed(Interest::JobId id, std::uint64_t number, Calls* calls);
  std::size_t rooms() const { return by_name_.size() - left_count_; }

 private:
  RoomMap::iterator MoveToEnd(RoomMap::iterator at);
  void Leave(RoomMap::iterator at, Calls* calls);
  void Erase(RoomMap::iterator at);
  void ForgetLeft();
  void KickJobs(Calls* calls);
  void Recognize(Calls* calls);
  bool Tell(Job* job, ::encke::Interest* out);  // true: that was all

  const InterestOptions& options_;
  InterestCounts& counts_;
  RoomMap rooms_;  // in the order of their last change
  std::unordered_map<std::string_view, RoomMap::iterator> by_name_;  // the key lives in the room
  Version version_ = 0;
  // Every job confirmed up to here; without a job everything is known, and nothing as long as one
  // that is expected is missing.
  Version known_ = std::numeric_limits<Version>::max();
  std::deque<Version> left_;  // some may have been joined again meanwhile
  std::size_t left_count_ = 0;
  std::deque<Linger> lingers_;
  std::multimap<Version, Waiter> waiters_;
  std::int64_t next_deadline_ = std::numeric_limits<std::int64_t>::max();
  std::map<Interest::JobId, Job> jobs_;
  std::set<std::string> expected_;
  // Jobs that know us: connected, or (until then) so lately that they still count on our return.
  std::map<std::string, std::int64_t> met_;
  Interest::JobId last_job_ = 0;
};

}  // namespace encke::downlink

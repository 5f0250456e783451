#pragma once
// Presence: who is where (sessions of users and keys) and how many are in each room.
//
// Owner    main of logic; borrows store::Sessions, store::Online, bus::Registry.  Redis is stopped
//          before it goes.
// Thread   any; callbacks on the Redis thread, or inline when Redis refuses at once.  The table and
//          the list of live comets are refreshed every online_refresh on a thread of its own.
// Limit    Redis' own; the online table holds one entry per room of the cluster.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/metrics.h"
#include "base/result.h"
#include "bus/registry.h"
#include "store/online.h"
#include "store/sessions.h"

namespace encke::presence {

struct PresenceOptions {
  Duration online_refresh{1000};
};

// Which comets are dead: not registered for kGrace.  An entry written after the comet left the
// registry proves that it lives (the registry is late), so it is never taken for dead.
class Liveness {
 public:
  static constexpr Duration kGrace{10'000};
  static constexpr Duration kClockSkew{5'000};  // between our clock and that of Redis

  void Update(const std::vector<Instance>& comets, std::int64_t now_us);
  // now_us and the generation are wall clocks.
  bool Dead(const store::Place& place, std::int64_t now_us);

 private:
  std::unordered_set<ServerId> alive_;
  std::map<ServerId, std::int64_t> absent_since_us_;  // servers that entries name
};

// The tables of the live comets and their sum.
class RoomTotals {
 public:
  using Sum = std::shared_ptr<const store::RoomTable>;

  std::int64_t VersionOf(const ServerId& comet) const;
  void Put(const ServerId& comet, store::Online::Seen seen);
  void Keep(const std::unordered_set<ServerId>& comets);  // forgets the others
  // The same pointer as long as nothing changed.
  Sum Get();

 private:
  std::map<ServerId, store::Online::Seen> tables_;
  bool changed_ = false;
  Sum sum_ = std::make_shared<const store::RoomTable>();
};

// The largest rooms whose whole id starts with `prefix`, largest first, ties by id.
std::vector<std::pair<std::string, std::int32_t>> LargestRooms(const store::RoomTable& rooms,
                                                               std::string_view prefix,
                                                               std::size_t limit);

struct PresenceCounts {
  Counter forgotten;         // entries of dead comets, removed on sight
  Counter refreshes, stale;  // rounds over all comets; rounds given up because Redis was away
};

class Presence {
 public:
  Presence(store::Sessions& sessions,
           store::Online& online,
           bus::Registry& registry,
           const PresenceOptions& options);
  ~Presence();
  Presence(const Presence&) = delete;
  Presence& operator=(const Presence&) = delete;

  using OnPlaces = std::function<void(Result<std::vector<store::Place>>)>;
  // Only places on live comets come back; entries naming a dead comet are forgotten on sight.
  void FindKeys(const std::vector<Key>& keys, OnPlaces done);
  void FindMids(const std::vector<Mid>& mids, OnPlaces done);

  // Cluster-wide counts, from the table in memory.
  std::int32_t CountOf(std::string_view room) const;  // 0 for unknown rooms
  std::vector<std::pair<std::string, std::int32_t>> Top(std::string_view prefix,
                                                        std::size_t limit) const;
  // The whole table; the same pointer as long as nothing changed.
  RoomTotals::Sum Rooms() const;
  // Connections and distinct addresses, summed over the live comets.
  std::pair<std::int64_t, std::int64_t> Totals() const;
  const PresenceCounts& counts() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace encke::presence

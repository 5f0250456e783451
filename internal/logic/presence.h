#pragma once
// Presence: who is where (sessions of users and keys) and how many are in each room.
//
// Owner    main of logic; borrows store::Sessions, store::Online, bus::Registry.
// Thread   any; callbacks on the Redis thread.  The online table is refreshed every online_refresh.
// Limit    Redis' own; the online table holds one entry per room of the cluster.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "bus/registry.h"
#include "store/online.h"
#include "store/sessions.h"

namespace encke::logic {

struct PresenceOptions {
  Duration online_refresh{1000};
};

class Presence {
 public:
  Presence(store::Sessions& sessions, store::Online& online, bus::Registry& registry,
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
  // The largest rooms whose whole id starts with `prefix`, largest first, ties by id.
  std::vector<std::pair<std::string, std::int32_t>> Top(std::string_view prefix,
                                                        std::size_t limit) const;
  // Connections and distinct addresses, summed over the live comets.
  std::pair<std::int64_t, std::int64_t> Totals() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace encke::logic

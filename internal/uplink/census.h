#pragma once
// Census: how many are in each room: here (summed over shards) and in the whole cluster.
//
// Shards add what changed about once a second; LogicLink takes the rooms whose sum changed and
// brings back totals of the cluster.  A room nobody is in here is forgotten once its 0 was taken.
//
// Owner    main of comet.
// Thread   any: striped by room, one short lock per room touched.
// Limit    one entry per room with members here, plus those whose 0 waits to be taken.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "api/logic.pb.h"

#include "base/threads.h"

namespace encke::uplink {

class Census {
 public:
  void Add(const std::string& room, std::int32_t members);  // members: came minus went
  // Takes rooms whose sum changed, about bytes_max of them; false: none had.
  bool Take(std::size_t bytes_max, RoomCounts* out);
  // Every room counts as changed: for a logic that knows nothing yet.
  void MarkAll();
  bool changed() const;

  void SetTotal(const std::string& room,
                std::int32_t total);  // of the cluster; unknown room: no-op
  // The most that is known: the cluster's total, or the sum here.
  std::int32_t Online(const std::string& room) const;
  std::size_t rooms() const;

 private:
  struct Room {
    std::int32_t here = 0;
    std::int32_t total = 0;
    bool changed = false;
  };
  struct Stripe {
    std::unordered_map<std::string, Room> rooms;
    std::vector<std::string> changed;
  };
  static constexpr std::size_t kStripes = 16;

  Guarded<Stripe>& StripeOf(const std::string& room) {
    return stripes_[std::hash<std::string>()(room) % kStripes];
  }
  const Guarded<Stripe>& StripeOf(const std::string& room) const {
    return stripes_[std::hash<std::string>()(room) % kStripes];
  }

  std::array<Guarded<Stripe>, kStripes> stripes_;
};

}  // namespace encke::uplink

#pragma once
// Delivery: what one shard does for one entry of the log: a push into its hub, or a command.
//
// Owner    Order: the parcel of a message from job; Deliver keeps nothing.
// Thread   OrderOf: any.  Deliver: the shard's loop.
// Limit    none here.

#include <cstdint>
#include <memory>

#include "api/push.pb.h"

#include "downlink/shard_port.h"
#include "hub/hub.h"

namespace encke::downlink {

class Reports;
struct PushDoorCounts;

struct Order {
  PushMsg push;
  std::shared_ptr<const hub::Extras> extras = nullptr;  // when it brings any
};
Order OrderOf(PushMsg push, Reports* reports);  // null: nobody reports

// Where an order goes on a shard.
struct Step {
  std::uint32_t push = 0;  // in the parcel
  std::uint32_t key = 0;   // of several keys: which, and
  hub::Slot slot = 0;      // where it may be
  double rate = 0;         // BROADCAST: for the whole comet
};

// channels: of this comet, to share a broadcast's rate.
void Deliver(const Order& order,
             const Step& step,
             std::size_t channels,
             std::int64_t now_us,
             ShardPort& port,
             PushDoorCounts& counts);

}  // namespace encke::downlink

#pragma once
// Stats: all that comet counts, as /metrics shows it.
//
// Owner    main, which builds a StatsView for each scrape.
// Thread   any: everything seen through it is atomic or guarded.
// Limit    none.

#include <cstddef>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "session/stats.h"
#include "uplink/stats.h"

namespace encke::hub {
struct HubCounts;
}
namespace encke::bus {
class Nats;
}
namespace encke::uplink {
class Census;
}
namespace encke::session {
class Addresses;
}
namespace encke::talk {
struct TalkStats;
}
namespace encke::downlink {
class Interest;
class Reports;
struct PushDoorCounts;
}  // namespace encke::downlink

namespace encke::comet {

struct RollCounts;

// One shard as a scrape sees it.
struct ShardView {
  const session::ShardStats* sessions;
  const talk::TalkStats* talks;
  hub::HubCounts* hub;
  net::NetCounts* net;
  const Histogram* turn_us;
  const Counter* posts_refused;
  std::size_t mailbox;
};

struct StatsView {
  std::vector<ShardView> shards;
  const uplink::LinkStats* link;
  const downlink::Interest* interest;
  const uplink::Census* census;
  const session::Addresses* addresses;
  const downlink::PushDoorCounts* door;
  const bus::Nats* nats;
  const RollCounts* roll;
  const downlink::Reports* reports;
};

std::string MetricsText(const StatsView& view);

}  // namespace encke::comet

#pragma once
// Wiring: how the parts of logic reach each other across layers that do not know each other.
//
// Owner    main; what is made here borrows its arguments.
// Thread   main's, while it builds.
// Limit    none.

#include <string_view>

#include "api/logic.pb.h"
#include "api/push.pb.h"

#include "base/result.h"
#include "bus/history.h"
#include "bus/nats.h"
#include "bus/registry.h"
#include "logic/config.h"
#include "native/api.h"
#include "presence/members.h"
#include "push/client_publisher.h"
#include "push/relay.h"
#include "rpc/calls.h"
#include "timeline/archive.h"
#include "timeline/plan.h"
#include "webhook/webhook.h"

namespace encke::logic {

// What the API of our own needs, of the real parts; in ports.cc.
native::NativePorts NativePortsOf(push::Relay& relay,
                                  presence::Presence& presence,
                                  presence::Members& members,
                                  store::Reports& reports,
                                  timeline::History& history);

// Comets are asked by gRPC.
presence::MembersPorts MembersOn(const bus::Registry& registry, rpc::RollClient& comets);

// The streams of all types with durable history.
Status EnsureHistories(const timeline::TimelinePlan& plan, const bus::HistoryLog& log);
timeline::ArchivePorts ArchiveIn(bus::HistoryLog& log);
push::RelayPorts WithArchive(push::RelayPorts ports, bus::HistoryLog& log);

// Tells backends what clients say: on NATS <subject>.<type>, unless the subject is empty, and by
// the webhook the types it is for.
struct Backends {
  const LogicConfig& config;
  const bus::Nats& nats;
  webhook::Webhook& hook;

  void Tell(std::string_view type, const PushMsg& push) const;  // accepted publishes
  void Hear(const Upstream& package) const;                     // whatever else clients send
};

}  // namespace encke::logic

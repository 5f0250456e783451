#pragma once
// Wiring: how the parts of logic reach each other across layers that do not know each other.
//
// Owner    main; what is made here borrows its arguments.
// Thread   main's, while it builds.
// Limit    none.

#include "base/result.h"
#include "bus/history.h"
#include "bus/nats.h"
#include "native/api.h"
#include "push/client_publisher.h"
#include "push/relay.h"
#include "timeline/archive.h"
#include "timeline/plan.h"

namespace encke::logic {

// What the API of our own needs, of the real parts; in ports.cc.
native::NativePorts NativePortsOf(push::Relay& relay,
                                  presence::Presence& presence,
                                  store::Reports& reports,
                                  timeline::History& history);

// The streams of all types with durable history.
Status EnsureHistories(const timeline::TimelinePlan& plan, const bus::HistoryLog& log);
timeline::ArchivePorts ArchiveIn(bus::HistoryLog& log);
push::RelayPorts WithArchive(push::RelayPorts ports, bus::HistoryLog& log);

// Tells backends on <subject>.<type>; an empty subject tells nobody.
push::ClientPublisher::Tell UpstreamOn(const bus::Nats& nats, const std::string& subject);

}  // namespace encke::logic

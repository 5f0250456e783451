#pragma once
// Stats: the metrics that all daemons have, under the name of each.
//
// Owner    none.
// Thread   any: what is read is atomic.
// Limit    none.

#include <string_view>

#include "base/metrics.h"
#include "bus/nats.h"

namespace encke::daemon {

// encke_<kind>_nats_up, _nats_disconnects_total, _nats_reconnects_total, _nats_errors_total.
void WriteNats(MetricsWriter& out, std::string_view kind, const bus::Nats& nats);

}  // namespace encke::daemon

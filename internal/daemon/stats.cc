#include "daemon/stats.h"

#include <fmt/core.h>

namespace encke::daemon {

void WriteNats(MetricsWriter& out, std::string_view kind, const bus::Nats& nats) {
  const auto name = [kind](const char* what) {
    return fmt::format("encke_{}_nats_{}", kind, what);
  };
  const bus::NatsCounts& counts = nats.counts();
  out.Level(name("up"), "1 while NATS is connected", "", nats.connected() ? 1 : 0);
  out.Count(name("disconnects_total"), "connections to NATS lost", "", Value(counts.disconnects));
  out.Count(name("reconnects_total"), "connections to NATS made again", "",
            Value(counts.reconnects));
  out.Count(name("errors_total"), "errors NATS reported", "", Value(counts.errors));
  out.Count(name("untold_total"), "messages to whoever listens that NATS did not take", "",
            Value(counts.untold));
}

}  // namespace encke::daemon

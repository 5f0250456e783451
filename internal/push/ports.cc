// How Relay meets the real parts.  Apart from it, so that its tests need none of them.

#include <utility>

#include "push/relay.h"

namespace encke::push {

RelayPorts RealRelayPorts(presence::Presence& presence,
                          bus::Publisher& publisher,
                          store::Timelines& timelines,
                          store::Reports& reports,
                          const timeline::TimelinePlan& plan,
                          const bus::LogOptions& log) {
  RelayPorts ports;
  ports.find_keys = [&presence](const auto& keys, auto done) {
    presence.FindKeys(keys, std::move(done));
  };
  ports.find_mids = [&presence](const auto& mids, auto done) {
    presence.FindMids(mids, std::move(done));
  };
  ports.publish = [&publisher](int partition, const auto& id, auto payload, auto done) {
    publisher.Publish(partition, id, std::move(payload), std::move(done));
  };
  ports.append = [&timelines](auto entry, auto done) {
    timelines.Append(std::move(entry), std::move(done));
  };
  ports.report = [&reports](const Accepted& accepted) {
    reports.Tell(accepted.id, "logic", {{"accepted", 1}, {"unrouted", accepted.unrouted}},
                 [](const Status&) {});
  };
  ports.plan = plan;
  ports.partitions = log.partitions;
  return ports;
}

std::function<void(const ServerId& comet, std::uint64_t boot, const PushReport&)> ReportInto(
    store::Reports& reports) {
  return [&reports](const ServerId& comet, std::uint64_t boot, const PushReport& report) {
    const store::Reports::Counts counts(report.counts().begin(), report.counts().end());
    reports.Tell(report.id(), comet.value() + "/" + std::to_string(boot), counts,
                 [](const Status&) {});
  };
}

}  // namespace encke::push

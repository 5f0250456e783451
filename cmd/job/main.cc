// job: reads the push log and brings it to the comets.  This page is the wiring diagram; see
// internal/README.md.
#include <string>

#include "base/log.h"
#include "base/threads.h"
#include "bus/leases.h"
#include "bus/nats.h"
#include "bus/registry.h"
#include "daemon/admin.h"
#include "daemon/daemon.h"
#include "job/config.h"
#include "job/reader.h"
#include "job/router.h"
#include "job/stats.h"
#include "sequence/repair.h"
#include "store/redis.h"
#include "store/timelines.h"

namespace bus = encke::bus;
namespace job = encke::job;
namespace store = encke::store;
using encke::Duration;
using encke::Ok;
using encke::Status;

namespace {

void Reload(const job::Config& config, const std::string& path) {
  const auto fresh = job::LoadConfig(path);
  if (!fresh) return encke::log::Warn("process.reload refused: {}", fresh.error().text);
  (void)encke::log::SetLevel(fresh->log_level);  // LoadConfig knows the words
  encke::daemon::LogReload(config, *fresh, {"log.level"});
}

Status Run(const job::Config& config, const std::string& path) {
  auto nats = bus::Nats::Connect(config.nats);
  if (!nats) return nats.error();
  if (auto made = (*nats)->EnsureLog(config.push_log); !made) return made.error();
  if (auto made = (*nats)->EnsureBuckets(config.push_log.replicas); !made) {
    return made.error();
  }

  job::Stats stats;
  job::Router router(config.id, config.link, job::RealPorts(), stats);  // to the comets
  store::Redis redis(config.redis);                                     // what was said
  store::Timelines timelines(redis);
  job::Readers readers(job::OpenOn(**nats, config.push_log), router, stats,  // from the log
                       encke::sequence::RepairFrom(timelines));
  bus::Leases leases(**nats, config.push_log.partitions, config.id, config.lease);  // which part
  encke::Pulse met;                                                                 // the comets
  bus::Registry registry(**nats, config.registry);                                  // who is alive
  const job::Parts parts{
      stats, **nats, registry, leases, router, readers, config.push_log.partitions};
  encke::daemon::Admin admin(config.admin_listen,
                             {.metrics = [&] { return job::MetricsText(parts); },
                              .unready = [&](auto tell) { tell(job::WhyUnready(parts)); }});
  if (auto port = admin.Start(); !port) return port.error();

  router.CountBy([&] { return registry.List("comet"); });
  registry.Announce(
      [&, boot = encke::WallUs()] { return encke::daemon::SelfOf(config, "job", boot); });
  registry.Watch("job", [&](const auto& jobs) { leases.SetHolders(jobs.size()); });
  registry.Watch("comet", [&](const auto& comets) {
    router.SetComets(comets);
    met.Stop();
  });
  // Nothing may be routed before we know to whom.
  if (met.Wait(Duration(10'000))) return encke::Error{encke::Errc::kTimeout, "nats: no registry"};

  readers.Start([&](const bus::Lease& done) { leases.Save(done); });
  leases.Start([&](const bus::Lease& lease) { readers.Gained(lease); },
               [&](int partition) { readers.Lost(partition); });
  encke::daemon::WaitForStop([&] { Reload(config, path); });

  registry.Withdraw();  // others make room for what we give up
  readers.Drain(config.stop_timeout);
  return Ok{};  // and the destructors, upwards: registry, leases, readers, links
}

}  // namespace

int main(int argc, char** argv) {
  return encke::daemon::Main(argc, argv, "job", job::LoadConfig, Run);
}

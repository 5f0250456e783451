// job: reads the push log and brings it to the comets.  This page is the wiring diagram; see
// internal/README.md.
#include <csignal>
#include <cstdio>
#include <string>

#include "base/log.h"
#include "base/threads.h"
#include "bus/leases.h"
#include "bus/nats.h"
#include "bus/registry.h"
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

namespace {

int Fail(const encke::Error& error) {
  std::fprintf(stderr, "job: %s\n", error.text.c_str());
  return 2;
}

sigset_t HoldSignals() {  // before the first thread, so that none of them gets one
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP})
    sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return signals;
}

void WaitForStop(const sigset_t& signals, const std::string& config_path) {
  for (int signal = 0; sigwait(&signals, &signal) == 0 && signal == SIGHUP;) {
    const auto fresh = job::LoadConfig(config_path);
    const auto set = fresh ? encke::log::SetLevel(fresh->log_level) : fresh.error();
    encke::log::Info("config.reload result=\"{}\"", set ? fresh->log_level : set.error().text);
  }
}

int Run(const job::Config& config, const std::string& config_path, const sigset_t& signals) {
  auto nats = bus::Nats::Connect(config.nats);
  if (!nats) return Fail(nats.error());
  if (auto made = (*nats)->EnsureLog(config.push_log); !made) return Fail(made.error());
  if (auto made = (*nats)->EnsureBuckets(config.push_log.replicas); !made) {
    return Fail(made.error());
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
  job::Admin admin(config.admin_listen,
                   {stats, **nats, registry, leases, router, readers, config.push_log.partitions});
  if (auto port = admin.Start(); !port) return Fail(port.error());

  router.CountBy([&] { return registry.List("comet"); });
  registry.Announce([&, boot = encke::WallUs()] { return Describe(config, boot); });
  registry.Watch("job", [&](const auto& jobs) { leases.SetHolders(jobs.size()); });
  registry.Watch("comet", [&](const auto& comets) {
    router.SetComets(comets);
    met.Stop();
  });
  // Nothing may be routed before we know to whom.
  if (met.Wait(Duration(10'000))) return Fail({encke::Errc::kTimeout, "nats: no registry"});

  readers.Start([&](int p, std::uint64_t fence, std::uint64_t seq) { leases.Save(p, fence, seq); });
  leases.Start([&](const bus::Lease& lease) { readers.Gained(lease); },
               [&](int partition) { readers.Lost(partition); });
  WaitForStop(signals, config_path);

  registry.Withdraw();  // others make room for what we give up
  readers.Drain(config.stop_timeout);
  return 0;  // and the destructors, upwards: registry, leases, readers, links
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = job::ParseArguments(argc, argv);
  if (!arguments) return Fail(arguments.error());
  const auto config = job::LoadConfig(arguments->config);
  if (!config) return Fail(config.error());
  if (arguments->check_only) return std::puts("configuration is fine") < 0;
  if (auto log = encke::log::Init("job", config->log_level); !log) return Fail(log.error());
  return Run(*config, arguments->config, HoldSignals());
}

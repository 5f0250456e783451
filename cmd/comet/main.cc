// comet: holds the client connections.  This page is the wiring diagram; see internal/README.md.
#include <string>

#include "bus/nats.h"
#include "bus/registry.h"
#include "comet/config.h"
#include "comet/process.h"
#include "comet/roll.h"
#include "comet/shard.h"
#include "comet/stats.h"
#include "daemon/admin.h"
#include "daemon/daemon.h"
#include "downlink/interest.h"
#include "downlink/push_door.h"
#include "downlink/reports.h"
#include "hub/directory.h"
#include "rpc/calls.h"
#include "rpc/server.h"
#include "session/addresses.h"
#include "uplink/census.h"
#include "uplink/logic_link.h"

namespace comet = encke::comet;
namespace session = encke::session;
namespace uplink = encke::uplink;
namespace downlink = encke::downlink;
using encke::Duration;
using encke::Ok;
using encke::Status;

namespace {

constexpr std::int64_t kReportMs = 1000;

Status Run(comet::CometConfig config, const std::string& path) {
  if (auto fits = comet::FitToLimits(&config); !fits) return fits;
  auto nats = encke::bus::Nats::Connect(config.nats);
  if (!nats) return nats.error();
  if (auto made = (*nats)->EnsureBuckets(config.nats_replicas); !made) return made.error();
  auto tls = comet::LoadTls(config);
  if (!tls) return tls.error();
  const comet::Boot boot = comet::NewBoot();
  config.logic.boot = boot;

  encke::hub::Directory directory;                // key -> shard, slot
  downlink::Interest interest(config.interest);   // rooms here, and which jobs know
  uplink::Census census;                          // how many are in each room
  session::Addresses addresses;                   // distinct client addresses
  uplink::LogicLink logic(config.logic, census);  // session events out, answers in
  comet::Shards shards;                           // the clients
  if (auto made = shards.Make(config.shards, config.shard,
                              {logic, interest, directory, census, addresses, shards});
      !made) {
    return made.error();
  }
  downlink::Reports reports;  // what became of pushes whose sender asked
  shards[0].EveryTick([&, told_ms = std::int64_t{0}](std::int64_t now_ms) mutable {
    interest.Tick(now_ms);
    if (now_ms - told_ms < kReportMs) return;
    told_ms = now_ms;
    if (auto news = reports.Collect(now_ms); !news.empty()) logic.Report(std::move(news));
  });
  downlink::PushDoor pushes({.reports = &reports}, interest, directory, shards.ports(), config.id,
                            boot);  // from jobs

  comet::Roll roll(shards);  // who is in a room, asked by logic

  encke::daemon::Admin admin(
      config.admin_listen,
      {.metrics =
           [&] {
             return comet::MetricsText({shards.views(), &logic.stats(), &interest, &census,
                                        &addresses, &pushes.counts(), nats->get(), &roll.counts(),
                                        &reports});
           },
       .unready = [&](auto tell) { tell(comet::WhyUnready(logic, **nats, shards)); }});
  if (auto port = admin.Start(); !port) return port.error();
  const auto push_service = pushes.MakeService();
  const auto roll_service = encke::rpc::MakeRollService(
      [&roll](const auto& ask, auto done) { roll.Ask(ask, std::move(done)); });
  auto grpc = encke::rpc::Server::Start({.address = config.grpc_listen},
                                        {push_service.get(), roll_service.get()});
  if (!grpc) return grpc.error();

  logic.Start(
      {.answer = [&shards](encke::ConnectReply reply) { comet::Deliver(shards, std::move(reply)); },
       .announce = [&shards] { shards.Announce(); },
       .reply = [&shards](encke::Reply reply) { comet::Deliver(shards, std::move(reply)); }});
  encke::bus::Registry registry(**nats, config.registry);  // who else is alive
  comet::Life life(config, path, boot, registry, logic, shards, addresses, tls->get());
  life.Begin((*grpc)->port());
  life.AwaitJobs(interest);  // nobody is let in of whom no job would know
  if (auto open = shards.Open(comet::DoorsOf(config, tls->get())); !open) return open.error();
  shards.Start();
  life.Welcome();
  life.WaitForStop();

  life.Leave();  // clients first, pushes reach them to the last
  pushes.Drain();
  logic.Stop();
  (*grpc)->Stop(Duration(500));
  admin.Stop();
  shards.Stop();
  return Ok{};
}

}  // namespace

int main(int argc, char** argv) {
  return encke::daemon::Main(argc, argv, "comet", comet::LoadConfig, Run);
}

// comet: holds the client connections.  This page is the wiring diagram; see internal/README.md.
#include <csignal>
#include <cstdio>

#include "base/log.h"
#include "bus/nats.h"
#include "bus/registry.h"
#include "comet/admin.h"
#include "comet/config.h"
#include "comet/process.h"
#include "comet/shard.h"
#include "downlink/interest.h"
#include "downlink/push_door.h"
#include "hub/directory.h"
#include "rpc/server.h"
#include "session/addresses.h"
#include "uplink/census.h"
#include "uplink/logic_link.h"

namespace comet = encke::comet;
namespace session = encke::session;
namespace uplink = encke::uplink;
namespace downlink = encke::downlink;
using encke::Duration;

namespace {

int Fail(const encke::Error& error) {
  std::fprintf(stderr, "comet: %s\n", error.text.c_str());
  return 2;
}

int Run(const comet::CometConfig& config, const std::string& path) {
  auto nats = encke::bus::Nats::Connect(config.nats);
  if (!nats) return Fail(nats.error());
  if (auto made = (*nats)->EnsureBuckets(config.nats_replicas); !made) return Fail(made.error());
  auto tls = comet::LoadTls(config);
  if (!tls) return Fail(tls.error());
  const comet::Boot boot = comet::NewBoot();

  encke::hub::Directory directory;                // key -> shard, slot
  downlink::Interest interest(config.interest);   // rooms here, and which jobs know
  uplink::Census census;                          // how many are in each room
  session::Addresses addresses;                   // distinct client addresses
  uplink::LogicLink logic(config.logic, census);  // session events out, answers in
  comet::Shards shards;                           // the clients
  if (auto made = shards.Make(config.shards, config.shard,
                              {logic, interest, directory, census, addresses, shards});
      !made) {
    return Fail(made.error());
  }
  shards[0].EveryTick([&interest](std::int64_t now_ms) { interest.Tick(now_ms); });
  downlink::PushDoor pushes({}, interest, directory, shards.ports(), config.id, boot);  // from jobs

  comet::Admin admin(config.admin_listen,
                     {.stats =
                          [&] {
                            return comet::StatsView{
                                shards.views(), &logic.stats(),   &interest,         &census,
                                &addresses,     &pushes.counts(), &(*nats)->counts()};
                          },
                      .unready = [&] { return comet::WhyUnready(logic, **nats, shards); }});
  if (auto port = admin.Start(); !port) return Fail(port.error());
  const auto push_service = pushes.MakeService();
  auto grpc = encke::rpc::Server::Start({.address = config.grpc_listen}, {push_service.get()});
  if (!grpc) return Fail(grpc.error());
  if (auto open = shards.Open(comet::DoorsOf(config, tls->get())); !open) return Fail(open.error());

  shards.Start();
  logic.Start(
      {.answer = [&shards](encke::ConnectReply reply) { comet::Deliver(shards, std::move(reply)); },
       .announce = [&shards] { shards.Announce(); }});
  encke::bus::Registry registry(**nats, config.registry);  // who else is alive
  comet::Life life(config, path, boot, registry, logic, shards, addresses, tls->get());
  life.Begin((*grpc)->port());
  life.WaitForStop();

  life.Leave();  // clients first, pushes reach them to the last
  pushes.Drain();
  logic.Stop();
  (*grpc)->Stop(Duration(500));
  admin.Stop();
  shards.Stop();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = comet::ParseArguments(argc, argv, "configs/comet.yaml");
  if (!arguments) return Fail(arguments.error());
  auto config = comet::LoadConfig(arguments->config);
  if (!config) return Fail(config.error());
  if (arguments->check_only) return std::puts("configuration is fine") < 0;
  if (auto log = encke::log::Init("comet", config->log_level); !log) return Fail(log.error());
  comet::HoldSignals();
  if (auto fits = comet::FitToLimits(&*config); !fits) return Fail(fits.error());
  return Run(*config, arguments->config);
}

// logic: sessions, presence and the HTTP API.  This page is the wiring diagram; see
// internal/README.md.
#include <string>

#include "daemon/admin.h"
#include "daemon/daemon.h"
#include "logic/config.h"
#include "logic/demo_page.h"
#include "logic/http_api.h"
#include "logic/process.h"
#include "logic/stats.h"
#include "logic/wiring.h"
#include "native/api.h"
#include "native/grpc_api.h"
#include "push/client_publisher.h"
#include "push/relay.h"

namespace auth = encke::auth;
namespace presence = encke::presence;
namespace logic = encke::logic;
namespace store = encke::store;
namespace bus = encke::bus;
namespace push = encke::push;
namespace timeline = encke::timeline;
using encke::Ok;
using encke::Status;

namespace {

encke::Result<std::unique_ptr<bus::Nats>> OpenBus(const logic::LogicConfig& config) {
  auto nats = bus::Nats::Connect(config.nats);
  if (!nats) return nats;
  if (auto made = (*nats)->EnsureLog(config.push_log); !made) return made.error();
  if (auto made = (*nats)->EnsureBuckets(config.registry_replicas); !made) return made.error();
  return nats;
}

Status Run(const logic::LogicConfig& config, const std::string& path) {
  auto auth = auth::Auth::Make(config.auth);  // who may come
  if (!auth) return auth.error();
  auto keys = auth::ApiKeys::Make(config.api_keys);  // who may push
  if (!keys) return keys.error();
  auto nats = OpenBus(config);
  if (!nats) return nats.error();

  bus::Registry registry(**nats, config.registry);         // who else is alive
  store::Redis redis(config.redis);                        // what we remember
  store::Sessions sessions(redis, config.sessions);        // who is where
  store::Online online(redis, config.door.online_expire);  // how many
  presence::Presence presence(sessions, online, registry, config.presence);
  auto nodes = presence::Nodes::Make(registry, config.nodes);  // where to send clients
  if (!nodes) return nodes.error();
  encke::rpc::RollClient comets;
  presence::Members members(logic::MembersOn(registry, comets));      // who is in a room
  bus::Publisher publisher(**nats, config.push_log, config.publish);  // where pushes leave
  store::Timelines timelines(redis);                                  // what was said
  store::Reports reports(redis);                                      // and who got it
  bus::HistoryLog archive(**nats, publisher);                         // and for how long
  if (auto made = logic::EnsureHistories(config.timelines, archive); !made) return made.error();
  push::Relay relay(logic::WithArchive(push::RealRelayPorts(presence, publisher, timelines, reports,
                                                            config.timelines, config.push_log),
                                       archive),
                    config.publish.in_flight_max);
  auto hook = encke::webhook::Webhook::Make(config.webhook);
  if (!hook) return hook.error();
  const logic::Backends backends{config, **nats, **hook};  // who hears what clients say
  const auto accept = [&relay](auto push, auto done) { relay.Accept(std::move(push), done); };
  const auto told = [&backends](auto type, const auto& said) { backends.Tell(type, said); };
  push::ClientPublisher client(config.client_publish, accept, told);
  timeline::History history(timelines, config.timelines, logic::ArchiveIn(archive));
  const auto publish = [&client](const auto& request, auto done) { client.Ask(request, done); };
  timeline::Asks asks(timelines, history, config.timelines, publish);
  const auto ask = [&asks](const auto& request, auto done) { asks.Ask(request, done); };
  const auto hear = [&backends](const auto& package) { backends.Hear(package); };
  presence::StorePorts ports(sessions, online, presence, {ask, push::ReportInto(reports), hear});
  presence::SessionDoor door(**auth, ports, config.door);  // the comets' door
  encke::web::HttpServer http(config.http);                // the backends' door
  logic::HttpApi api(http, logic::HttpPorts::Of(relay, presence, **nodes), *keys);
  const auto v1_ports = logic::NativePortsOf(relay, presence, members, reports, history);
  encke::native::NativeApi native(http, v1_ports, *keys);
  encke::native::GrpcApi push_api(v1_ports, *keys, {.body_bytes_max = config.http.body_bytes_max});
  if (config.demo) logic::ServeDemo(http);
  encke::daemon::Admin admin(
      config.admin_listen,  // the operators' door
      {.metrics =
           [&] {
             return logic::MetricsText({**auth, door, presence, members, relay, client, timelines,
                                        asks, api, native, push_api, http, redis, publisher, **nats,
                                        **hook});
           },
       .unready = [&](auto tell) { logic::WhyUnready(redis, **nats, registry, std::move(tell)); }});
  const auto service = encke::rpc::MakeSessionService(
      [&door](auto stream) { return door.Accept(std::move(stream)); });
  const auto pushes = encke::rpc::MakePushApi(push_api.calls());
  const logic::StopFirst stop(redis, publisher);

  auto grpc = encke::rpc::Server::Start(config.grpc, {service.get()});
  if (!grpc) return grpc.error();
  auto push_grpc = encke::rpc::Server::Start(config.push_grpc, {pushes.get()});
  if (!push_grpc) return push_grpc.error();
  if (auto port = http.Start(); !port) return port.error();
  if (auto port = admin.Start(); !port) return port.error();

  logic::Life life(config, path,
                   {**auth, *keys, registry, door, http, **grpc, **push_grpc, relay, **hook});
  life.Begin();
  life.WaitForStop();
  life.Leave();
  admin.Stop();
  return Ok{};
}

}  // namespace

int main(int argc, char** argv) {
  return encke::daemon::Main(argc, argv, "logic", logic::LoadConfig, Run);
}

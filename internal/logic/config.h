#pragma once
// LogicConfig: everything configs/logic.yaml may say, with its defaults.
//
// Owner    main.
// Thread   any, once loaded.
// Limit    ranges in config.cc, one row per key.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "api/registry.pb.h"

#include "auth/api_keys.h"
#include "auth/auth.h"
#include "bus/push_log.h"
#include "daemon/config.h"
#include "presence/nodes.h"
#include "presence/presence.h"
#include "presence/session_door.h"
#include "push/client_publisher.h"
#include "rpc/server.h"
#include "store/redis.h"
#include "store/sessions.h"
#include "timeline/plan.h"
#include "web/http_server.h"
#include "webhook/webhook.h"

namespace encke::logic {

struct LogicConfig : daemon::Config {
  web::HttpOptions http;
  bool demo = true;
  std::vector<std::string> api_keys;
  rpc::ServerOptions grpc;
  rpc::ServerOptions push_grpc;
  std::string grpc_advertise;  // what comets dial; default: grpc.listen

  auth::AuthOptions auth;
  presence::SessionDoorOptions door;  // heartbeat and the two expiries are derived
  store::RedisOptions redis;
  store::SessionsOptions sessions;
  presence::PresenceOptions presence;
  presence::NodesOptions nodes;
  timeline::TimelinePlan timelines;
  push::ClientPublishOptions client_publish;
  std::string upstream_subject = "encke.upstream";  // empty: backends are not told by NATS
  bool upstream_raw = false;                        // packages that are no publishes, too
  webhook::WebhookOptions webhook;
  std::vector<std::string> webhook_types = {"*"};

  bus::LogOptions push_log;
  bus::PublisherOptions publish;
  int registry_replicas = 1;

  LogicConfig();
};

// Reads the file and the environment, fills in what is derived, checks what belongs together.
Result<LogicConfig> LoadConfig(const std::string& path);
// The same from memory, for tests.
Result<LogicConfig> ParseConfig(std::string_view text);

// No door of the backends faces the world without keys.
Status MayListen(const LogicConfig& config, const auth::ApiKeys& keys);

// What the registry is told.
Instance Describe(const LogicConfig& config, std::uint64_t boot, std::uint16_t grpc_port);

}  // namespace encke::logic

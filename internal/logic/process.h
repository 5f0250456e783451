#pragma once
// Process: the life of the logic process: readiness, announcing, reload, leaving.
//
// Owner    main.
// Thread   main's; WhyUnready any.
// Limit    logic.stop_timeout for leaving.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "auth/api_keys.h"
#include "auth/auth.h"
#include "bus/nats.h"
#include "bus/push_log.h"
#include "bus/registry.h"
#include "logic/config.h"
#include "presence/session_door.h"
#include "push/relay.h"
#include "rpc/server.h"
#include "store/redis.h"
#include "web/http_server.h"

namespace encke::logic {

// Empty when Redis answered a PING just now, NATS is connected and the registry was read.
void WhyUnready(store::Redis& redis,
                const bus::Nats& nats,
                const bus::Registry& registry,
                std::function<void(std::string)> tell);

// Stops Redis and the publisher before anything that their callbacks use goes: the last thing
// declared, the first to go.
class StopFirst {
 public:
  StopFirst(store::Redis& redis, bus::Publisher& publisher)
      : redis_(redis), publisher_(publisher) {}
  ~StopFirst() {
    publisher_.Stop();
    redis_.Stop();
  }
  StopFirst(const StopFirst&) = delete;
  StopFirst& operator=(const StopFirst&) = delete;

 private:
  store::Redis& redis_;
  bus::Publisher& publisher_;
};

class Life {
 public:
  struct Parts {
    auth::Auth& auth;
    auth::ApiKeys& api_keys;
    bus::Registry& registry;
    presence::SessionDoor& door;
    web::HttpServer& http;
    rpc::Server& grpc;
    rpc::Server& push_grpc;
    push::Relay& relay;
    webhook::Webhook& hook;
  };
  Life(const LogicConfig& config, std::string config_path, const Parts& parts);

  void Begin();        // announces us
  void WaitForStop();  // SIGHUP: Reload
  void Reload();
  // Others stop coming, requests are answered, streams end, pushes are stored.
  void Leave();

 private:
  Status ReplaceApiKeys(const std::vector<std::string>& fresh);

  const LogicConfig& config_;
  const std::string config_path_;
  const std::uint64_t boot_;
  Parts parts_;
};

}  // namespace encke::logic

#pragma once
// Stats: what logic counts, as text for /metrics.
//
// Owner    the parts own their counters; a LogicView is made for one scrape.
// Thread   any.
// Limit    none; label values come from fixed tables.

#include <string>

#include "auth/auth.h"
#include "bus/nats.h"
#include "bus/push_log.h"
#include "logic/http_api.h"
#include "native/api.h"
#include "native/grpc_api.h"
#include "presence/members.h"
#include "presence/presence.h"
#include "presence/session_door.h"
#include "push/client_publisher.h"
#include "push/relay.h"
#include "store/redis.h"
#include "store/timelines.h"
#include "timeline/asks.h"
#include "web/http_server.h"
#include "webhook/webhook.h"

namespace encke::logic {

struct LogicView {
  const auth::Auth& auth;
  const presence::SessionDoor& door;
  const presence::Presence& presence;
  const presence::Members& members;
  const push::Relay& relay;
  const push::ClientPublisher& client;
  const store::Timelines& timelines;
  const timeline::Asks& asks;
  const HttpApi& api;
  const native::NativeApi& native;
  const native::GrpcApi& push_grpc;
  const web::HttpServer& http;
  const store::Redis& redis;
  const bus::Publisher& publisher;
  const bus::Nats& nats;
  const webhook::Webhook& hook;
};

std::string MetricsText(const LogicView& view);

}  // namespace encke::logic

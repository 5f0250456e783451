#include "logic/config.h"

#include "auth/api_keys.h"
#include "base/config.h"
#include "base/units.h"

namespace encke::logic {

namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::int64_t kMillion = 1'000'000;
constexpr std::int64_t kPortMax = 65'535;

void ReadDoors(ConfigReader& in, LogicConfig& out) {
  in.Key("http.listen", &out.http.address);
  in.Key("http.threads", &out.http.threads, 1, 64);
  in.Key("http.body_bytes_max", &out.http.body_bytes_max, 1024, 8 * kMega);
  in.Key("http.header_bytes_max", &out.http.header_bytes_max, 8192, 16 * kMega);
  in.Key("http.pipeline_max", &out.http.pipeline_max, 1, 1024);
  in.Key("http.connections_max", &out.http.connections_max, 1, kMillion);
  in.Key("http.idle_timeout", &out.http.idle_timeout, seconds(1), hours(1));
  in.Key("http.demo", &out.demo);
  in.Key("api.keys", &out.api_keys);
  in.Key("grpc.listen", &out.grpc.address);
  in.Key("grpc.advertise", &out.grpc_advertise);
  in.Key("push_grpc.listen", &out.push_grpc.address);
}

void ReadAuth(ConfigReader& in, LogicConfig& out) {
  auth::AuthOptions& auth = out.auth;
  in.Choice("auth.mode", &auth.mode, {"goim", "jwt"});
  in.Key("auth.allow_open", &auth.allow_open);
  in.Key("auth.jwt.keys", &auth.jwt.keys);
  in.Key("auth.jwt.issuer", &auth.jwt.issuer);
  in.Key("auth.jwt.audience", &auth.jwt.audience);
  in.Key("auth.jwt.leeway", &auth.jwt.leeway, milliseconds(0), minutes(10));
  in.Key("auth.jwt.require_exp", &auth.jwt.require_exp);
}

void ReadStore(ConfigReader& in, LogicConfig& out) {
  store::ReadRedis(in, &out.redis);
  in.Key("session.expire", &out.sessions.expire, seconds(10), hours(24));
  in.Key("session.connects_max", &out.door.connects_max, 1, kMillion);
  in.Key("session.answer_bytes_max", &out.door.answer_bytes_max, kMega, 1024 * kMega);
  in.Key("online.refresh", &out.presence.online_refresh, milliseconds(50), minutes(5));
  in.Key("online.expire", &out.door.online_expire, seconds(5), hours(1));
}

void ReadBus(ConfigReader& in, LogicConfig& out) {
  daemon::ReadPushLog(in, &out.push_log);
  in.Key("publish.in_flight_max", &out.publish.in_flight_max, 1, kMillion);
  in.Key("publish.ack_timeout", &out.publish.ack_timeout, milliseconds(50), minutes(1));
  in.Key("registry.replicas", &out.registry_replicas, 1, 5);
}

void ReadNodes(ConfigReader& in, LogicConfig& out) {
  presence::NodesOptions& node = out.nodes;
  in.Key("node.default_domain", &node.default_domain);
  in.Key("node.host_domain", &node.host_domain);
  in.Key("node.heartbeat", &node.heartbeat, seconds(1), hours(12));
  in.Key("node.heartbeat_max", &node.heartbeat_max, 1, 100);
  in.Key("node.tcp_port", &node.tcp_port, 0, kPortMax);
  in.Key("node.ws_port", &node.ws_port, 0, kPortMax);
  in.Key("node.wss_port", &node.wss_port, 0, kPortMax);
  in.Key("node.region_weight", &node.region_weight, 0.01, 1000);
  in.Key("backoff.max_delay", &node.backoff_max_delay, 0, 86'400);
  in.Key("backoff.base_delay", &node.backoff_base_delay, 0, 86'400);
  in.Key("backoff.factor", &node.backoff_factor, 0, 1000);
  in.Key("backoff.jitter", &node.backoff_jitter, 0, 1000);
  in.Key("regions", &node.regions);
}

void ReadTimelines(ConfigReader& in, LogicConfig& out) {
  timeline::ReadPlan(in, &out.timelines);
  push::ClientPublishOptions& client = out.client_publish;
  in.Key("client_publish.types", &client.types);
  in.Key("client_publish.users", &client.users);
  in.Key("client_publish.op_min", &client.op_min, 0, 2'147'483'647);
  in.Key("client_publish.op_max", &client.op_max, 0, 2'147'483'647);
  in.Key("client_publish.body_bytes_max", &client.body_bytes_max, 1, kMega);
  in.Key("client_publish.subject", &out.upstream_subject);
  in.Key("client_publish.raw", &out.upstream_raw);
  in.Key("session.asks_max", &out.door.asks_max, 1, kMillion);
}

void ReadWebhook(ConfigReader& in, LogicConfig& out) {
  webhook::WebhookOptions& hook = out.webhook;
  in.Key("webhook.url", &hook.url);
  in.Key("webhook.secret_file", &hook.secret_file);
  in.Key("webhook.types", &out.webhook_types);
  in.Key("webhook.timeout", &hook.timeout, milliseconds(100), minutes(1));
  in.Key("webhook.retry_for", &hook.retry_for, milliseconds(0), hours(24));
  in.Key("webhook.backoff_max", &hook.backoff_max, milliseconds(100), minutes(10));
  in.Key("webhook.events_max", &hook.events_max, 1, kMillion);
  in.Key("webhook.bytes_max", &hook.bytes_max, kMega, 1024 * kMega);
  in.Key("webhook.batch_max", &hook.batch_max, 1, 1000);
}

void Derive(LogicConfig& out) {
  out.door.heartbeat = out.nodes.heartbeat * out.nodes.heartbeat_max;
  out.door.session_expire = out.sessions.expire;
  // Lists of names go beside the bodies, as in HTTP's query.
  out.push_grpc.message_bytes_max =
      static_cast<int>(out.http.body_bytes_max + out.http.header_bytes_max);
}

// Anybody may say to be anybody in mode goim: not on an open door by accident.
Status CheckOpenness(const LogicConfig& config) {
  Result<auth::ApiKeys> keys = auth::ApiKeys::Make(config.api_keys);
  if (!keys) return keys.error();
  if (Status may = MayListen(config, *keys); !may) return may.error();
  if (config.auth.mode != "goim" || config.auth.allow_open) return Ok{};
  for (const std::string& door :
       {config.http.address, config.push_grpc.address, config.grpc.address}) {
    if (auth::IsLoopback(door)) continue;
    return Error{Errc::kInvalid,
                 "auth.mode: \"goim\" believes every client, and " + door +
                     " is reachable from outside: use \"jwt\", or say auth.allow_open: true"};
  }
  return Ok{};
}

Status Check(const LogicConfig& config) {
  if (config.grpc.address.empty() || config.http.address.empty() ||
      config.push_grpc.address.empty()) {
    return Error{Errc::kInvalid, "http.listen, grpc.listen, push_grpc.listen: must not be empty"};
  }
  if (config.client_publish.op_min > config.client_publish.op_max) {
    return Error{Errc::kInvalid, "client_publish.op_min: must not be above client_publish.op_max"};
  }
  if (config.sessions.expire <= config.door.heartbeat) {
    return Error{Errc::kInvalid,
                 "session.expire: must be longer than node.heartbeat times node.heartbeat_max"};
  }
  if (Result<presence::RegionTable> regions = presence::RegionTable::Make(config.nodes.regions);
      !regions) {
    return regions.error();
  }
  return CheckOpenness(config);
}

Result<LogicConfig> Read(ConfigReader& in) {
  LogicConfig out;
  daemon::ReadConfig(in, "logic", &out);
  ReadDoors(in, out);
  ReadAuth(in, out);
  ReadStore(in, out);
  ReadBus(in, out);
  ReadNodes(in, out);
  ReadTimelines(in, out);
  ReadWebhook(in, out);
  if (Status finished = daemon::FinishConfig(in, "logic", &out); !finished) {
    return finished.error();
  }
  Derive(out);
  if (Status checked = Check(out); !checked) return checked.error();
  return out;
}

}  // namespace

LogicConfig::LogicConfig() {
  admin_listen = "127.0.0.1:3115";
  http.address = "127.0.0.1:3111";
  grpc.address = "127.0.0.1:3119";
  push_grpc.address = "127.0.0.1:3113";
  // A backend's client may answer pings only while it calls.
  push_grpc.ping_after = minutes(1);
  push_grpc.pong_within = minutes(1);
}

Result<LogicConfig> LoadConfig(const std::string& path) {
  ConfigReader in;
  if (Status opened = in.Open(path); !opened) return opened.error();
  return Read(in);
}

Result<LogicConfig> ParseConfig(std::string_view text) {
  ConfigReader in;
  if (Status opened = in.OpenText(text); !opened) return opened.error();
  return Read(in);
}

Status MayListen(const LogicConfig& config, const auth::ApiKeys& keys) {
  if (Status may = keys.MayListen("http.listen", config.http.address); !may) return may;
  return keys.MayListen("push_grpc.listen", config.push_grpc.address);
}

Instance Describe(const LogicConfig& config, std::uint64_t boot, std::uint16_t grpc_port) {
  Instance self = daemon::SelfOf(config, "logic", boot);
  self.set_grpc(daemon::DialedAt(config.grpc_advertise, config.grpc.address, grpc_port));
  return self;
}

}  // namespace encke::logic

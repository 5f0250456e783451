#include "logic/config.h"

#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

namespace encke::logic {
namespace {

std::string Wrong(const std::string& text) {
  const auto config = ParseConfig(text);
  return config ? "" : config.error().text;
}

TEST(LogicConfig, TheShippedFileSaysTheDefaults) {
  const auto shipped = LoadConfig(ENCKE_SOURCE_DIR "/configs/logic.yaml");
  ASSERT_TRUE(shipped) << shipped.error().text;
  const auto defaults = ParseConfig("{}");
  ASSERT_TRUE(defaults) << defaults.error().text;
  const LogicConfig &a = *shipped, &b = *defaults;
  EXPECT_EQ(a.http.address, b.http.address);
  EXPECT_EQ(a.http.body_bytes_max, b.http.body_bytes_max);
  EXPECT_EQ(a.http.header_bytes_max, b.http.header_bytes_max);
  EXPECT_EQ(a.http.connections_max, b.http.connections_max);
  EXPECT_EQ(a.http.pipeline_max, b.http.pipeline_max);
  EXPECT_EQ(a.http.idle_timeout, b.http.idle_timeout);
  EXPECT_EQ(a.http.threads, b.http.threads);
  EXPECT_EQ(a.demo, b.demo);
  EXPECT_EQ(a.api_keys, b.api_keys);
  EXPECT_EQ(a.admin_listen, b.admin_listen);
  EXPECT_EQ(a.grpc.address, b.grpc.address);
  EXPECT_EQ(a.push_grpc.address, b.push_grpc.address);
  EXPECT_EQ(a.auth.mode, b.auth.mode);
  EXPECT_EQ(a.auth.jwt.leeway, b.auth.jwt.leeway);
  EXPECT_EQ(a.auth.jwt.require_exp, b.auth.jwt.require_exp);
  EXPECT_EQ(a.redis.address, b.redis.address);
  EXPECT_EQ(a.redis.timeout, b.redis.timeout);
  EXPECT_EQ(a.redis.reconnect_max, b.redis.reconnect_max);
  EXPECT_EQ(a.redis.commands_max, b.redis.commands_max);
  EXPECT_EQ(a.sessions.expire, b.sessions.expire);
  EXPECT_EQ(a.door.connects_max, b.door.connects_max);
  EXPECT_EQ(a.door.answer_bytes_max, b.door.answer_bytes_max);
  EXPECT_EQ(a.door.online_expire, b.door.online_expire);
  EXPECT_EQ(a.presence.online_refresh, b.presence.online_refresh);
  EXPECT_EQ(a.nats.servers, b.nats.servers);
  EXPECT_EQ(a.nats.call_timeout, b.nats.call_timeout);
  EXPECT_EQ(a.push_log.stream, b.push_log.stream);
  EXPECT_EQ(a.push_log.subject, b.push_log.subject);
  EXPECT_EQ(a.push_log.partitions, b.push_log.partitions);
  EXPECT_EQ(a.push_log.max_age, b.push_log.max_age);
  EXPECT_EQ(a.push_log.max_bytes, b.push_log.max_bytes);
  EXPECT_EQ(a.push_log.duplicate_window, b.push_log.duplicate_window);
  EXPECT_EQ(a.publish.in_flight_max, b.publish.in_flight_max);
  EXPECT_EQ(a.publish.ack_timeout, b.publish.ack_timeout);
  EXPECT_EQ(a.registry.put_interval, b.registry.put_interval);
  EXPECT_EQ(a.registry.expire, b.registry.expire);
  EXPECT_EQ(a.registry.distrust, b.registry.distrust);
  EXPECT_EQ(a.nodes.default_domain, b.nodes.default_domain);
  EXPECT_EQ(a.nodes.host_domain, b.nodes.host_domain);
  EXPECT_EQ(a.nodes.heartbeat, b.nodes.heartbeat);
  EXPECT_EQ(a.nodes.heartbeat_max, b.nodes.heartbeat_max);
  EXPECT_EQ(a.nodes.region_weight, b.nodes.region_weight);
  EXPECT_EQ(a.nodes.backoff_max_delay, b.nodes.backoff_max_delay);
  EXPECT_EQ(a.nodes.backoff_base_delay, b.nodes.backoff_base_delay);
  EXPECT_EQ(a.nodes.backoff_factor, b.nodes.backoff_factor);
  EXPECT_EQ(a.nodes.backoff_jitter, b.nodes.backoff_jitter);
  EXPECT_EQ(a.nodes.regions, b.nodes.regions);
  EXPECT_EQ(a.door.heartbeat, Duration(480'000));
  EXPECT_EQ(a.upstream_subject, b.upstream_subject);
  EXPECT_EQ(a.upstream_raw, b.upstream_raw);
  EXPECT_EQ(a.webhook.url, b.webhook.url);
  EXPECT_EQ(a.webhook_types, b.webhook_types);
  EXPECT_EQ(a.webhook.timeout, b.webhook.timeout);
  EXPECT_EQ(a.webhook.retry_for, b.webhook.retry_for);
  EXPECT_EQ(a.webhook.backoff_max, b.webhook.backoff_max);
  EXPECT_EQ(a.webhook.events_max, b.webhook.events_max);
  EXPECT_EQ(a.webhook.bytes_max, b.webhook.bytes_max);
  EXPECT_EQ(a.webhook.batch_max, b.webhook.batch_max);
}

TEST(LogicConfig, UnknownKeysRefuseToStart) {
  EXPECT_NE(Wrong("http:\n  lisen: 127.0.0.1:1\n"), "");
  EXPECT_NE(Wrong("nonsense: 1\n"), "");
}

TEST(LogicConfig, OpenAuthStaysAtHomeUnlessAllowed) {
  const std::string outside = "http: {listen: \"0.0.0.0:3111\"}\napi: {keys: [\"k\"]}\n";
  EXPECT_NE(Wrong(outside).find("auth.mode"), std::string::npos);
  EXPECT_NE(Wrong("grpc: {listen: \"0.0.0.0:3119\"}\n").find("auth.mode"), std::string::npos);
  EXPECT_EQ(Wrong(outside + "auth: {allow_open: true}\n"), "");
  EXPECT_EQ(Wrong(outside + "auth: {mode: jwt}\n"), "");
}

TEST(LogicConfig, TheApiStaysAtHomeWithoutKeys) {
  EXPECT_NE(Wrong("http: {listen: \"0.0.0.0:3111\"}\nauth: {mode: jwt}\n"), "");
  const std::string by_grpc = "push_grpc: {listen: \"0.0.0.0:3113\"}\nauth: {mode: jwt}\n";
  EXPECT_NE(Wrong(by_grpc).find("push_grpc.listen"), std::string::npos);
  EXPECT_EQ(Wrong(by_grpc + "api: {keys: [\"k\"]}\n"), "");
}

TEST(LogicConfig, ReadsRegions) {
  const auto config = ParseConfig("regions:\n  eu: [\"192.0.2.0/24\"]\n  bj: [\"10.0.0.0/8\"]\n");
  ASSERT_TRUE(config) << config.error().text;
  EXPECT_EQ(config->nodes.regions.size(), 2u);
  EXPECT_NE(Wrong("regions:\n  eu: [\"nowhere\"]\n").find("nowhere"), std::string::npos);
}

TEST(LogicConfig, DerivesTheHeartbeatAndChecksItAgainstTheSessions) {
  const auto config = ParseConfig("node: {heartbeat: 30s, heartbeat_max: 3}\n");
  ASSERT_TRUE(config);
  EXPECT_EQ(config->door.heartbeat, Duration(90'000));
  EXPECT_NE(Wrong("session: {expire: 5m}\n"), "");
  EXPECT_NE(Wrong("registry: {expire: 2s}\n"), "");
}

TEST(Describe, NamesTheDoorForComets) {
  LogicConfig config = *ParseConfig("logic: {id: l1, region: eu}\ngrpc: {listen: \"127.0.0.1:0\"}");
  Instance self = Describe(config, 7, 4711);
  EXPECT_EQ(self.kind(), "logic");
  EXPECT_EQ(self.id(), "l1");
  EXPECT_EQ(self.region(), "eu");
  EXPECT_EQ(self.grpc(), "127.0.0.1:4711");
  EXPECT_EQ(self.boot(), 7u);
  config.grpc_advertise = "logic.example.org:3119";
  EXPECT_EQ(Describe(config, 7, 4711).grpc(), "logic.example.org:3119");
}

}  // namespace
}  // namespace encke::logic

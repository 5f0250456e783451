#include "comet/config.h"

#include <cstdio>
#include <fstream>
#include <regex>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "comet/process.h"
#include "comet/stats.h"

namespace encke::comet {
namespace {

std::string Text(const std::string& path) {
  std::ifstream in(std::string(ENCKE_SOURCE_DIR) + "/" + path);
  std::stringstream text;
  text << in.rdbuf();
  EXPECT_FALSE(text.str().empty()) << path;
  return text.str();
}

TEST(Config, TheShippedFileSaysWhatTheDefaultsAre) {
  const auto config = LoadConfig(std::string(ENCKE_SOURCE_DIR) + "/configs/comet.yaml");
  ASSERT_TRUE(config) << config.error().text;
  const CometConfig plain;
  EXPECT_EQ(config->tcp_listen, plain.tcp_listen);
  EXPECT_EQ(config->ws_listen, plain.ws_listen);
  EXPECT_EQ(config->wss_listen, plain.wss_listen);
  EXPECT_EQ(config->tls_listen, plain.tls_listen);
  EXPECT_EQ(config->admin_listen, plain.admin_listen);
  EXPECT_EQ(config->grpc_listen, plain.grpc_listen);
  EXPECT_EQ(config->stop_timeout, plain.stop_timeout);
  EXPECT_EQ(config->weight, plain.weight);
  EXPECT_EQ(config->public_addrs, plain.public_addrs);
  const session::SessionOptions &s = config->shard.session, ps;
  EXPECT_EQ(s.handshake_timeout, ps.handshake_timeout);
  EXPECT_EQ(s.heartbeat_default, ps.heartbeat_default);
  EXPECT_EQ(s.renew_interval, ps.renew_interval);
  EXPECT_EQ(s.slow_timeout, ps.slow_timeout);
  EXPECT_EQ(s.announce_rate, ps.announce_rate);
  EXPECT_EQ(s.drain_rate, ps.drain_rate);
  const net::ConnectionsOptions &n = config->shard.net, pn;
  EXPECT_EQ(n.connections_max, 0U);
  EXPECT_EQ(n.input_bytes_max, pn.input_bytes_max);
  EXPECT_EQ(n.outbox_bytes_max, pn.outbox_bytes_max);
  const hub::HubOptions &h = config->shard.hub, ph;
  EXPECT_EQ(h.batch_bytes_max, ph.batch_bytes_max);
  EXPECT_EQ(h.batch_messages_max, ph.batch_messages_max);
  EXPECT_EQ(h.pending_bytes_max, ph.pending_bytes_max);
  EXPECT_EQ(h.rooms_max, ph.rooms_max);
  EXPECT_EQ(config->interest.join_wait, downlink::InterestOptions{}.join_wait);
  EXPECT_EQ(config->interest.linger, downlink::InterestOptions{}.linger);
  EXPECT_EQ(config->logic.events_max, uplink::LogicLinkOptions{}.events_max);
  EXPECT_EQ(config->logic.bytes_max, uplink::LogicLinkOptions{}.bytes_max);
  EXPECT_EQ(config->logic.answer_timeout, uplink::LogicLinkOptions{}.answer_timeout);
  EXPECT_EQ(config->logic.report_interval, uplink::LogicLinkOptions{}.report_interval);
  EXPECT_EQ(config->nats.servers, bus::NatsOptions{}.servers);
  EXPECT_EQ(config->registry.expire, bus::RegistryOptions{}.expire);
  EXPECT_GE(config->shards, 1);
  EXPECT_FALSE(config->id.empty());
  EXPECT_EQ(config->logic.comet, config->id);
}

TEST(Config, EveryKeyIsInTheShippedFile) {
  const std::string shared = Text("internal/daemon/config.cc");  // its first half is ours
  const std::string code =
      Text("internal/comet/config.cc") + shared.substr(0, shared.find("void ReadPushLog"));
  const std::string yaml = Text("configs/comet.yaml");
  const std::regex row(R"RE(in\.(?:Key|Choice)\("([a-z_]+)\.([a-z_]+)")RE");
  int keys = 0;
  for (std::sregex_iterator at(code.begin(), code.end(), row), end; at != end; ++at, ++keys) {
    const std::regex line("\n" + (*at)[1].str() + ":\n(?:  [^\n]*\n)*?  " + (*at)[2].str() + ":");
    EXPECT_TRUE(std::regex_search(yaml, line)) << (*at)[1] << "." << (*at)[2];
  }
  EXPECT_GT(keys, 40);
}

// A file that says this, and nothing else.
Result<CometConfig> Loaded(const std::string& text) {
  const std::string path =  // tests run side by side
      testing::TempDir() + "comet_config_test." + std::to_string(::getpid()) + ".yaml";
  std::ofstream(path) << text;
  auto config = LoadConfig(path);
  std::remove(path.c_str());
  return config;
}

TEST(Config, PoliciesForSlowClientsAreByTypeAndOperation) {
  const auto config = Loaded(
      "rooms:\n  live: {slow: latest, slow_ops: {1001: keep, 1002: drop_new}}\n"
      "  group: {slow: keep}\n  \"*\": {slow_ops: {7: drop_old}}\n");
  ASSERT_TRUE(config) << config.error().text;
  using backlog::Policy;
  const backlog::Rules& rules = config->shard.hub.rules;
  EXPECT_EQ(rules.Of("live").Of(1000), Policy::kLatest);
  EXPECT_EQ(rules.Of("live").Of(1001), Policy::kKeep);
  EXPECT_EQ(rules.Of("live").Of(1002), Policy::kDropNew);
  EXPECT_EQ(rules.Of("group").Of(1000), Policy::kKeep);
  EXPECT_EQ(rules.Of("other").Of(7), Policy::kDropOld);
  EXPECT_EQ(rules.Of("other").Of(8), Policy::kDropNew);
}

TEST(Config, APolicyThatDoesNotExistIsNamedWithItsKey) {
  const auto text = [](const std::string& file) {
    const auto config = Loaded(file);
    return config ? "was taken" : config.error().text;
  };
  EXPECT_THAT(text("rooms:\n  live: {slow: newest}\n"),
              testing::EndsWith(":2: rooms.live.slow: \"newest\" is not one of: drop_new, keep, "
                                "drop_old, latest"));
  EXPECT_THAT(text("rooms:\n  live:\n    slow_ops: {1000: no}\n"),
              testing::HasSubstr(":3: rooms.live.slow_ops.1000: \"no\" is not one of: "));
  EXPECT_THAT(text("rooms:\n  live: {slow_ops: {chat: keep}}\n"),
              testing::EndsWith("rooms.live.slow_ops.chat: is not an operation"));
  EXPECT_THAT(text("rooms:\n  live: {slow_ops: keep}\n"),
              testing::HasSubstr("rooms.live.slow_ops: \"\" must be a table"));
  EXPECT_THAT(text("rooms:\n  live: {fast: keep}\n"),
              testing::EndsWith("rooms.live.fast: unknown key"));
}

TEST(Config, TheRegistryIsToldWhereJobsDial) {
  CometConfig config;
  config.id = "c1";
  config.grpc_listen = "127.0.0.1:0";
  EXPECT_EQ(Describe(config, 5, 4711).grpc(), "127.0.0.1:4711");
  config.grpc_advertise = "comet-1.internal:3109";
  const Instance self = Describe(config, 5, 4711);
  EXPECT_EQ(self.grpc(), "comet-1.internal:3109");
  EXPECT_EQ(self.kind() + "." + self.id(), "comet.c1");
  EXPECT_EQ(self.boot(), 5u);
}

}  // namespace
}  // namespace encke::comet

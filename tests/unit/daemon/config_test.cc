#include "daemon/config.h"

#include <gtest/gtest.h>

namespace encke::daemon {
namespace {

Result<Config> Read(std::string_view text) {
  Config out;
  out.admin_listen = "127.0.0.1:3105";
  ConfigReader in;
  if (Status opened = in.OpenText(text); !opened) return opened.error();
  ReadConfig(in, "comet", &out);
  if (Status finished = FinishConfig(in, "comet", &out); !finished) return finished.error();
  return out;
}

std::string Refusal(std::string_view text) {
  const auto config = Read(text);
  return config ? "accepted" : config.error().text;
}

TEST(DaemonConfig, KnowsItsOwnName) {
  const auto plain = Read("{}");
  ASSERT_TRUE(plain) << plain.error().text;
  EXPECT_FALSE(plain->id.empty());
  EXPECT_EQ(plain->nats.name, "comet." + plain->id);
  EXPECT_EQ(Read("comet: {id: c1, region: eu}")->nats.name, "comet.c1");
}

TEST(DaemonConfig, RefusesWhatCannotWork) {
  EXPECT_NE(Refusal("logic: {id: c1}").find("logic"), std::string::npos);
  EXPECT_NE(Refusal("registry: {put_interval: 2s, expire: 3s}").find("registry.expire"),
            std::string::npos);
  EXPECT_NE(Refusal("admin: {listen: \"\"}").find("admin.listen"), std::string::npos);
  EXPECT_NE(Refusal("comet: {stop_timeout: 1ms}").find("comet.stop_timeout"), std::string::npos);
}

TEST(DaemonConfig, TellsWhatAReloadTakesAndWhatNot) {
  const auto running = Read("{comet: {id: c1, weight_of_nobody: 1}}");
  EXPECT_FALSE(running);
  const auto before = Read("{comet: {id: c1, region: eu}, log: {level: info}}");
  const auto after =
      Read("{comet: {id: c1, zone: z}, log: {level: debug}, nats: {servers: [a, b]}}");
  ASSERT_TRUE(before && after);
  const Changes changes = ChangesOf(*before, *after, {"log.level", "comet.zone"});
  EXPECT_EQ(changes.taken, (std::vector<std::string>{"comet.zone", "log.level"}));
  EXPECT_EQ(changes.need_restart, (std::vector<std::string>{"comet.region", "nats.servers"}));
  EXPECT_TRUE(ChangesOf(*before, *before, {}).need_restart.empty());
}

TEST(DaemonConfig, TellsTheRegistryWhoWeAre) {
  Config config;
  config.id = "c1";
  config.zone = "z2";
  const Instance self = SelfOf(config, "comet", 5);
  EXPECT_EQ(self.kind() + "." + self.id(), "comet.c1");
  EXPECT_EQ(self.zone(), "z2");
  EXPECT_EQ(self.boot(), 5u);
  EXPECT_EQ(DialedAt("", "127.0.0.1:0", 4711), "127.0.0.1:4711");
  EXPECT_EQ(DialedAt("", "[::1]:3109", 3109), "[::1]:3109");
  EXPECT_EQ(DialedAt("comet-1.internal:3109", "127.0.0.1:0", 4711), "comet-1.internal:3109");
}

}  // namespace
}  // namespace encke::daemon

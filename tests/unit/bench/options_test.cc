// Flags, addresses, and runs that a machine cannot carry.

#include "options.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "client/addresses.h"
#include "load/commands.h"
#include "machine/limits.h"

namespace encke::bench {
namespace {

std::string Parse(const std::string& subcommand, std::vector<std::string> flags, Options* o) {
  std::vector<char*> words;
  for (auto& flag : flags)
    words.push_back(flag.data());
  std::string error;
  const bool fine = o->Parse(subcommand, static_cast<int>(words.size()), words.data(), &error);
  EXPECT_EQ(fine, error.empty());
  return error;
}

TEST(Options, FlagsSetTheirFields) {
  Options o;
  EXPECT_EQ(Parse("room", {"--connections=12", "--push_rate=2.5", "--room=a://b", "--keys=1"}, &o),
            "");
  EXPECT_EQ(o.connections, 12);
  EXPECT_EQ(o.push_rate, 2.5);
  EXPECT_EQ(o.room, "a://b");
  EXPECT_TRUE(o.keys);
  EXPECT_EQ(o.ToJson()["connections"], 12);
  EXPECT_EQ(o.ToJson()["transport"], "mix");
}

TEST(Options, MistakesAreNamed) {
  const std::vector<std::pair<std::string, std::string>> mistakes = {
      {"--colour=red", "not a flag"},
      {"connections=1", "not a flag"},
      {"--connections=ten", "not a value"},
      {"--connections=1x", "not a value"},
      {"--body=23", "--body"},
      {"--room=lobby", "--room"},
      {"--transport=udp", "--transport"},
      {"--version=3", "--version"},
      {"--comets=here", "--comets"},
      {"--comets=", "--comets"},
      {"--http=nowhere", "--http"},
      {"--sources=1.2.3.4/x", "--sources"},
      {"--threads=0", "--threads"},
      {"--push_rate=-1", "rates"},
      {"--route=rooms", "--route"}};
  for (const auto& [flag, words] : mistakes) {
    Options o;
    const std::string error = Parse("room", {flag}, &o);
    EXPECT_NE(error.find(words), std::string::npos) << flag << ": " << error;
  }
}

TEST(Options, ASubcommandHasItsOwnDefaults) {
  Options api;
  Parse("api", {}, &api);
  EXPECT_EQ(api.http_connections, 16);
  EXPECT_EQ(api.connections, 100);
  EXPECT_EQ(api.GroupsOf("room"), 10U);
  EXPECT_EQ(api.RoomName(3), "bench://1-3");
  Options rooms;
  Parse("rooms", {"--rooms=100", "--members=20"}, &rooms);
  EXPECT_EQ(rooms.connections, 2000);
  EXPECT_EQ(rooms.group_size(), 20);
  Options push;
  Parse("push", {"--connections=100", "--targets=3"}, &push);
  EXPECT_EQ(push.GroupsOf("mids"), 33U);
  EXPECT_EQ(push.group_size(), 3);
  EXPECT_TRUE(push.keys);
  EXPECT_EQ(push.GroupsOf("all"), 1U);
  Options room;
  Parse("room", {}, &room);
  EXPECT_EQ(room.RoomName(0), "bench://1");
  EXPECT_EQ(room.group_size(), room.connections);
}

TEST(Addresses, CometsAndSources) {
  const auto comets = ParseComets("127.0.0.1:3101:3102,10.1.2.3:1:2");
  ASSERT_EQ(comets.size(), 2U);
  EXPECT_EQ(ntohs(comets[0].tcp.sin_port), 3101);
  EXPECT_EQ(ntohs(comets[1].ws.sin_port), 2);
  EXPECT_TRUE(ParseComets("127.0.0.1:3101").empty());
  EXPECT_TRUE(ParseComets("127.0.0.1:3101:99999").empty());

  Sources sources;
  ASSERT_TRUE(ParseSources("127.1.0.0/24", comets, &sources));
  EXPECT_EQ(sources.count, 254U);
  EXPECT_EQ(ntohl(sources.At(0).sin_addr.s_addr), 0x7f010001U);
  EXPECT_EQ(ntohl(sources.At(253).sin_addr.s_addr), 0x7f0100feU);
  EXPECT_EQ(ntohl(sources.At(254).sin_addr.s_addr), 0x7f010001U);
  ASSERT_TRUE(ParseSources("auto", comets, &sources));
  EXPECT_EQ(sources.count, 0U) << "a comet elsewhere: the kernel chooses";
  ASSERT_TRUE(ParseSources("auto", ParseComets("127.0.0.1:1:2"), &sources));
  EXPECT_EQ(sources.count, 254U);
  ASSERT_TRUE(ParseSources("127.0.0.9", comets, &sources));
  EXPECT_EQ(sources.count, 1U);
}

TEST(Limits, ARunThatDoesNotFitIsRefusedByTheLimitsName) {
  Options o;
  o.connections = 100'000;
  o.sources = "127.1.0.1";
  o.transport = "tcp";
  Limits limits{.nofile = 200'000, .somaxconn = 4096, .ports = 200'000};
  EXPECT_EQ(WhatIsShort(o, limits), "");
  limits.ports = 28'232;
  EXPECT_NE(WhatIsShort(o, limits).find("net.ipv4.ip_local_port_range"), std::string::npos);
  o.sources = "127.1.0.0/24";
  EXPECT_EQ(WhatIsShort(o, limits), "");
  limits.somaxconn = 128;
  EXPECT_NE(WhatIsShort(o, limits).find("net.core.somaxconn=256"), std::string::npos);
  limits.nofile = 20'000;
  EXPECT_NE(WhatIsShort(o, limits).find("RLIMIT_NOFILE is 20000"), std::string::npos);
}

TEST(Commands, EveryLineIsAnswered) {
  const Verbs verbs = {{"twice", [](const Command& c) {
                          return Reply{{"is", 2 * c.value("n", 1)}};
                        }}};
  EXPECT_EQ(Obey(verbs, R"({"do":"twice","n":4})").dump(), R"({"did":"twice","is":8})");
  EXPECT_EQ(Obey(verbs, R"({"do":"twice"})").dump(), R"({"did":"twice","is":2})");
  EXPECT_EQ(Obey(verbs, R"({"do":"quit"})").dump(), R"({"did":"quit"})");
  for (const char* line :
       {"", "nonsense", "[]", R"({"do":7})", R"({"do":"fly"})", R"({"do":"twice","n":"four"})"})
    EXPECT_EQ(Obey(verbs, line)["did"], "error") << line;
}

}  // namespace
}  // namespace encke::bench

#include <gtest/gtest.h>

#include "session/sessions.h"
#include "unit/session/world.h"

namespace encke::session {
namespace {

std::string CloseFrame(std::uint16_t code, std::string_view text) {
  std::string out;
  wire::AppendWsClose(&out, code, text);
  return out;
}

std::string Masked(std::string_view payload, char first) {
  std::string out{first};
  out += static_cast<char>(0x80 | payload.size());
  const std::string mask = "\x11\x22\x33\x44";
  out += mask;
  for (std::size_t i = 0; i < payload.size(); ++i)
    out += static_cast<char>(payload[i] ^ mask[i % 4]);
  return out;
}

TEST(Ws, TheCookieReachesLogicAndTheReplyIsOneFrame) {
  World world;
  auto client = world.Upgraded();
  ASSERT_TRUE(client);
  client->Say(Masked(Packed(7, 1, "{}"), '\x82'));
  ASSERT_TRUE(world.Until([&] { return !world.logic.asks.empty(); }));
  EXPECT_EQ(world.logic.asks[0].cookie(), "a=b");
  EXPECT_EQ(world.logic.asks[0].token(), "{}");
  ASSERT_TRUE(world.LetIn(*client, "k"));
  EXPECT_EQ(client->Take(), Hex("8210 00000010 0010 0001 00000008 00000001"));
}

TEST(Ws, AuthMayFollowTheUpgradeInOneSegment) {
  World world;
  Client client(world.ws);
  client.Say(
      "GET /sub?x=1 HTTP/1.1\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" +
      Framed(Packed(7, 1, "{}")) + Framed(Packed(2, 2, {})));
  ASSERT_TRUE(world.LetIn(client, "k"));
  const std::string tail = Framed(Packed(8, 1, {})) + Framed(Packed(3, 2, Hex("00000000")));
  EXPECT_TRUE(world.Until([&] { return client.Hear().ends_with(tail); }));
}

TEST(Ws, ARefusedUpgradeGetsAnAnswer) {
  World world;
  Client wrong_path(world.ws);
  wrong_path.Say("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(world.Closes(wrong_path));
  EXPECT_TRUE(wrong_path.Take().starts_with("HTTP/1.1 404 "));
  EXPECT_EQ(world.closed(CloseReason::kBadUpgrade), 0u) << "open until the client hangs up";
  wrong_path.Hang();
  EXPECT_TRUE(world.Until([&] { return world.closed(CloseReason::kBadUpgrade) == 1; }));
}

TEST(Ws, ForwardedAddressesAreTrustedOnlyWhenConfigured) {
  for (const bool trusted : {false, true}) {
    ShardOptions options;
    options.session.trust_forwarded = trusted;
    World world(options);
    Client client(world.ws);
    client.Say(
        "GET /sub HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "X-Forwarded-For: 1.2.3.4, 10.0.0.9\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" +
        Framed(Packed(7, 1, "{}")));
    ASSERT_TRUE(world.Until([&] { return !world.logic.asks.empty(); }));
    EXPECT_EQ(world.logic.asks[0].client_ip(), trusted ? "10.0.0.9" : "127.0.0.1");
  }
}

TEST(Ws, PushesComeWrapped) {
  World world;
  auto client = world.Ws("k", "a");
  ASSERT_TRUE(client);
  world.PushRoom("a", 1000, "hi");
  EXPECT_TRUE(world.Hears(*client, Hex("8222 00000022 0010 0001 00000009 00000000"
                                       "00000012 0010 0001 000003e8 00000000 6869")));
}

TEST(Ws, PingIsAnsweredAtOnceAndFragmentsAreJoinedAroundIt) {
  World world;
  auto client = world.Ws("k");
  ASSERT_TRUE(client);
  const std::string package = Packed(14, 5, "1000");
  std::string first = Framed(package.substr(0, 7), wire::WsOpcode::kText);
  first[0] = static_cast<char>(first[0] & 0x7f);  // not the last one
  client->Say(first + Framed("are you there", wire::WsOpcode::kPing));
  EXPECT_TRUE(world.Hears(*client, Framed("are you there", wire::WsOpcode::kPong)));
  client->Say(Framed("", wire::WsOpcode::kPong) +
              Framed(package.substr(7), wire::WsOpcode::kContinuation));
  EXPECT_TRUE(world.Hears(*client, Framed(Packed(15, 5, "1000"))));
}

TEST(Ws, SurplusBytesOfAMessageAreIgnored) {
  World world;
  auto client = world.Ws("k");
  ASSERT_TRUE(client);
  client->Say(Framed(Packed(2, 1, {}) + Packed(2, 2, {}) + std::string(8000, 'x')));
  client->Say(Framed(Packed(2, 3, {})));
  EXPECT_TRUE(world.Hears(
      *client, Framed(Packed(3, 1, Hex("00000000"))) + Framed(Packed(3, 3, Hex("00000000")))));
}

struct Bad {
  const char* what;
  std::string bytes;
  std::uint16_t code;
  CloseReason reason;
};

TEST(Ws, ProtocolErrorsAreClosedWithACode) {
  std::string rsv = Framed(Packed(2, 1, {}));
  rsv[0] = static_cast<char>(rsv[0] | 0x40);
  const Bad cases[] = {
      {"packLen beyond the message", Framed(Hex("00000014 0010 0001 0000000c 00000001") + "ab"),
       1002, CloseReason::kBadPackage},
      {"negative packLen", Framed(Hex("ffffffff 0010 0001 00000002 00000001")), 1002,
       CloseReason::kBadPackage},
      {"fewer than 16 bytes", Framed("short"), 1002, CloseReason::kBadPackage},
      {"empty message", Framed(""), 1002, CloseReason::kBadPackage},
      {"headerLen", Framed(Hex("00000010 0011 0001 00000002 00000001")), 1002,
       CloseReason::kBadPackage},
      {"body over 4096", Framed(Packed(14, 1, std::string(4097, 'x'))), 1009,
       CloseReason::kBodyTooLong},
      {"message over 8192", Framed(std::string(9000, 'x')), 1009, CloseReason::kMessageTooBig},
      {"rsv", rsv, 1002, CloseReason::kBadFrame},
      {"continuation of nothing", Framed("x", wire::WsOpcode::kContinuation), 1002,
       CloseReason::kBadFrame},
  };
  for (const Bad& bad : cases) {
    World world;
    auto client = world.Ws("k");
    ASSERT_TRUE(client);
    client->Say(bad.bytes);
    EXPECT_TRUE(world.Closes(*client)) << bad.what;
    EXPECT_EQ(client->Take(), CloseFrame(bad.code, RowOf(bad.reason).text)) << bad.what;
    client->Hang();
    EXPECT_TRUE(world.Until([&] { return world.closed(bad.reason) == 1; })) << bad.what;
    EXPECT_EQ(world.logic.goodbyes.size(), 1u) << bad.what;
  }
}

TEST(Ws, ACloseIsEchoed) {
  World world;
  auto client = world.Ws("k");
  ASSERT_TRUE(client);
  client->Say(Framed(Packed(2, 1, {})) + CloseFrame(1000, "bye") + Framed(Packed(2, 2, {})));
  EXPECT_TRUE(world.Hears(*client, Framed(Packed(3, 1, Hex("00000000"))) + CloseFrame(1000, "")));
  EXPECT_TRUE(world.Closes(*client));
  client->Hang();
  EXPECT_TRUE(world.Until([&] { return world.closed(CloseReason::kClosing) == 1; }));
}

TEST(Ws, AReplacedLoginReadsWhy) {
  World world;
  auto older = world.Ws("k");
  auto newer = world.Ws("k");
  ASSERT_TRUE(older && newer);
  EXPECT_TRUE(world.Closes(*older));
  EXPECT_EQ(older->Take(), CloseFrame(3501, "same key logged in again"));
  EXPECT_FALSE(newer->Closed());
}

TEST(Ws, ARefusedLoginReadsWhetherToComeBack) {
  for (const bool retry : {false, true}) {
    World world;
    auto client = world.Upgraded();
    ASSERT_TRUE(client);
    client->Say(Framed(Packed(7, 1, "[]")));
    ASSERT_TRUE(world.Until([&] { return !world.logic.asks.empty(); }));
    ConnectReply reply;
    reply.set_id(world.logic.asks[0].id());
    reply.set_refused("no");
    reply.set_retry(retry);
    world.sessions->Answer(reply);
    EXPECT_TRUE(world.Closes(*client));
    EXPECT_EQ(client->Take(),
              retry ? CloseFrame(3002, "auth unavailable") : CloseFrame(3500, "auth refused"));
  }
}

}  // namespace
}  // namespace encke::session

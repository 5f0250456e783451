// The client's codec: whatever pieces a stream arrives in, the same packages come out.

#include "client/codec.h"

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace encke::bench {
namespace {

using Packages = std::vector<std::pair<int, std::string>>;

std::string Package(int op, const std::string& body) {
  std::string out;
  AppendPackage(false, op, body, &out);
  return out;
}

std::string Frame(const std::string& payload, int opcode = 2) {
  std::string out(1, static_cast<char>(0x80 | opcode));
  const std::size_t n = payload.size();
  if (n < 126) {
    out += static_cast<char>(n);
  } else if (n < 65536) {
    out += {126, static_cast<char>(n >> 8), static_cast<char>(n & 255)};
  } else {
    out += static_cast<char>(127);
    for (int shift = 56; shift >= 0; shift -= 8)
      out += static_cast<char>(n >> shift & 255);
  }
  return out + payload;
}

// An op-9 envelope around packages.
std::string Envelope(const std::string& inner) {
  std::string out = Package(kEnvelope, inner);
  return out;
}

// Feeds `wire` in pieces of `piece` bytes, keeping what was not used, as a swarm does.
Packages Feed(bool ws, const std::string& wire, std::size_t piece, bool* broken) {
  Packages got;
  std::string held;
  std::uint32_t left = 0;
  const auto take = [&got](std::int32_t op, const char* body, std::size_t size) {
    got.emplace_back(op, std::string(body, size));
  };
  for (std::size_t at = 0; at < wire.size() && !*broken; at += piece) {
    held += wire.substr(at, piece);
    const Decoded d = ws ? DecodeFrames(&left, held.data(), held.size(), take)
                         : DecodePackages(held.data(), held.size(), take);
    *broken = d.broken;
    held.erase(0, d.used);
  }
  EXPECT_TRUE(*broken || held.empty());
  return got;
}

TEST(Codec, PackagesComeOutOfPiecesOfEverySize) {
  const std::string wire =
      Package(8, "") + Package(1000, "hi") + Package(1000, std::string(200, 'x'));
  const Packages want = {{8, ""}, {1000, "hi"}, {1000, std::string(200, 'x')}};
  for (std::size_t piece = 1; piece <= wire.size(); ++piece) {
    bool broken = false;
    EXPECT_EQ(Feed(false, wire, piece, &broken), want) << piece;
    EXPECT_FALSE(broken);
  }
}

TEST(Codec, FramesComeOutOfPiecesOfEverySize) {
  const std::string big(300, 'b');
  const std::string wire = Frame(Package(8, "")) + Frame("ping", 9) +
                           Frame(Envelope(Package(1000, "hi") + Package(1001, ""))) +
                           Frame(Envelope(Package(1000, big))) + Frame(Package(3, "abcd"));
  const Packages want = {{8, ""}, {1000, "hi"}, {1001, ""}, {1000, big}, {3, "abcd"}};
  for (std::size_t piece = 1; piece <= wire.size(); ++piece) {
    bool broken = false;
    EXPECT_EQ(Feed(true, wire, piece, &broken), want) << piece;
    EXPECT_FALSE(broken);
  }
}

TEST(Codec, AFrameOfManyPackagesNeedNotArriveWhole) {
  std::string inner;
  for (int i = 0; i < 5000; ++i)
    inner += Package(1000, "0123456789");
  const std::string wire = Frame(Envelope(inner));
  std::uint32_t left = 0;
  int got = 0;
  const auto count = [&got](std::int32_t, const char*, std::size_t) { ++got; };
  const Decoded d = DecodeFrames(&left, wire.data(), 1000, count);
  EXPECT_GT(got, 30);
  EXPECT_GT(d.used, 900U);
  bool broken = false;
  EXPECT_EQ(Feed(true, wire, 777, &broken).size(), 5000U);
}

TEST(Codec, WhatIsNotTheProtocolIsBroken) {
  for (const std::string& wire :
       {Frame(std::string(8, '\0')), Frame(Package(8, ""), 1), Frame(Package(8, "") + "tail"),
        Frame(Envelope(Package(1000, "hi") + "tail"))}) {
    bool broken = false;
    Feed(true, wire, wire.size(), &broken);
    EXPECT_TRUE(broken);
  }
  bool broken = false;
  Feed(false, std::string(16, '\0'), 16, &broken);
  EXPECT_TRUE(broken) << "a package shorter than its header";
}

TEST(Codec, ClientFramesAreMasked) {
  std::string out;
  AppendPackage(true, 7, std::string(200, 'a'), &out);
  EXPECT_EQ(static_cast<unsigned char>(out[0]), 0x82);
  EXPECT_EQ(static_cast<unsigned char>(out[1]), 0x80 | 126);
  EXPECT_EQ(out.size(), 2U + 2 + 4 + 16 + 200);
  EXPECT_EQ(Get32(out.data() + 8), 216U);
  EXPECT_EQ(Get32(out.data() + 16), 7U);
}

std::string FromHex(const std::string& hex) {
  std::string out;
  for (std::size_t i = 0; i < hex.size(); i += 2)
    out += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return out;
}

Incoming Kinds(int version, int op) { return Classify(version, op, "", 0); }

TEST(Codec, EachVersionHasItsOwnWords) {
  EXPECT_EQ(Kinds(1, 8).kind, Kind::kWelcome);
  EXPECT_EQ(Kinds(1, 3).kind, Kind::kHeartbeatReply);
  EXPECT_EQ(Kinds(1, 1000).kind, Kind::kPush);
  EXPECT_EQ(Kinds(1, 32).kind, Kind::kOther);
  EXPECT_EQ(Kinds(2, 19).kind, Kind::kWelcome);
  EXPECT_EQ(Kinds(2, 31).kind, Kind::kHeartbeatReply);
  EXPECT_EQ(Kinds(2, 32).kind, Kind::kPush);
  EXPECT_EQ(Kinds(2, 1000).kind, Kind::kOther);
  EXPECT_EQ(Classify(1, 1000, "hi", 2).body, "hi");
}

// The bodies are those of api/client.md and of a Push with every field.
TEST(Codec, ThePushOfVersionTwoHasItsBodyInside) {
  const std::string push = FromHex(
      "0a0a67726f75703a2f2f3432"
      "1001"
      "180c"
      "20e807"
      "2a026869"
      "3203703132");
  EXPECT_EQ(Classify(2, 32, push.data(), push.size()).body, "hi");
  for (std::size_t n = 0; n < push.size(); ++n) {
    const auto body = Classify(2, 32, push.data(), n).body;
    EXPECT_TRUE(body.empty() || body == "hi") << n;
  }
  const std::string fixed = FromHex(
                                "0d00000000"
                                "110000000000000000"
                                "2a03") +
                            "abc";
  EXPECT_EQ(Classify(2, 32, fixed.data(), fixed.size()).body, "abc") << "unknown fields";
}

TEST(Codec, TheLoginOfVersionTwoIsAConnectWithTheTokenOfVersionOne) {
  std::string one, two;
  AppendLogin(1, false, 7, "live://9", "", &one);
  AppendLogin(2, false, 7, "live://9", "", &two);
  const std::string token = one.substr(kPackageHeader);
  EXPECT_EQ(token, R"({"mid":7,"room_id":"live://9","platform":"bench","accepts":[1000]})");
  EXPECT_EQ(Get32(two.data() + 8), 18U);
  EXPECT_EQ(two.substr(kPackageHeader), FromHex("0a42") + token + FromHex("1a05") + "bench");
}

TEST(Codec, TheUpgradeIsAnsweredOrNotYetOrRefused) {
  const std::string fine = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";
  EXPECT_EQ(UpgradeAnswer(fine + "more"), static_cast<int>(fine.size()));
  for (std::size_t n = 0; n < fine.size(); ++n)
    EXPECT_EQ(UpgradeAnswer(fine.substr(0, n)), 0);
  EXPECT_EQ(UpgradeAnswer("HTTP/1.1 400 Bad Request\r\n\r\n"), -1);
}

}  // namespace
}  // namespace encke::bench

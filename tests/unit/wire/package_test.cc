#include "wire/package.h"

#include <array>
#include <string>

#include <gtest/gtest.h>

#include "unit/wire/hex.h"
#include "wire/op.h"
#include "wire/ws_frame.h"

namespace encke::wire {
namespace {

std::string Encode(const Package& package) {
  std::string out;
  AppendPackage(&out, package);
  return out;
}

TEST(Package, WritesTheVectorsOfTheProtocol) {
  EXPECT_EQ(Hex(Encode({1, kOpAuthReply, 1, ""})), "00000010001000010000000800000001");
  EXPECT_EQ(Hex(Encode({1, kOpHeartbeat, 1, ""})), "00000010001000010000000200000001");
  EXPECT_EQ(Hex(Encode({1, kOpHeartbeatReply, 1, std::string_view("\0\0\0\2", 4)})),
            "0000001400100001000000030000000100000002");
  EXPECT_EQ(Hex(Encode({1, 1000, 0, "hi"})), "0000001200100001000003e8000000006869");
  EXPECT_EQ(Hex(Encode({1, kOpAuth, 1, std::string(82, 'x')}).substr(0, kHeaderBytes)),
            "00000062001000010000000700000001");
}

TEST(Package, WritesTheWebSocketVectors) {
  const std::string hi = Encode({1, 1000, 0, "hi"});
  std::string one;
  AppendWsHeader(&one, WsOpcode::kBinary, kHeaderBytes + hi.size());
  AppendHeader(&one, 1, kOpRaw, 0, hi.size());
  one += hi;
  EXPECT_EQ(Hex(one),
            "82220000002200100001000000090000000000000012"
            "00100001000003e8000000006869");

  const std::string batch = hi + Encode({1, 1001, 0, ""});
  std::string two;
  AppendWsHeader(&two, WsOpcode::kBinary, kHeaderBytes + batch.size());
  AppendHeader(&two, 1, kOpRaw, 0, batch.size());
  two += batch;
  EXPECT_EQ(Hex(two),
            "823200000032001000010000000900000000"
            "0000001200100001000003e8000000006869"
            "0000001000100001000003e900000000");
}

TEST(Package, StreamRoundTripKeepsEveryField) {
  const std::string bytes = Encode({-2, -5, -123456, "body"});
  const std::string in = bytes + "next";  // the body borrows it
  Package package;
  std::size_t consumed = 0;
  ASSERT_EQ(ParseStream(in, &package, &consumed), Parsed::kPackage);
  EXPECT_EQ(consumed, bytes.size());
  EXPECT_EQ(package.ver, -2);
  EXPECT_EQ(package.op, -5);
  EXPECT_EQ(package.seq, -123456);
  EXPECT_EQ(package.body, "body");
}

TEST(Package, StreamWaitsForTheLastByte) {
  const std::string bytes = Encode({1, 4, 1, "body"});
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    Package package;
    std::size_t consumed = 77;
    EXPECT_EQ(ParseStream(bytes.substr(0, size), &package, &consumed), Parsed::kNeedMore) << size;
    EXPECT_EQ(consumed, 77u);
  }
}

struct LengthCase {
  const char* pack_bytes;  // hex
  Parsed stream, message;
};

// The table of what is accepted from a client, by packLen alone; 4,096 more bytes follow.
TEST(Package, LengthsAreTreatedAsGoimTreatsThem) {
  constexpr std::array kCases = {
      LengthCase{"00000000", Parsed::kPackage, Parsed::kPackage},
      LengthCase{"00000001", Parsed::kPackage, Parsed::kPackage},
      LengthCase{"0000000f", Parsed::kPackage, Parsed::kPackage},
      LengthCase{"00000010", Parsed::kPackage, Parsed::kPackage},
      LengthCase{"00001010", Parsed::kPackage, Parsed::kPackage},
      LengthCase{"00001011", Parsed::kTooLong, Parsed::kTooLong},
      LengthCase{"7fffffff", Parsed::kTooLong, Parsed::kTooLong},
      LengthCase{"ffffffff", Parsed::kPackage, Parsed::kBadHeader},
      LengthCase{"80000000", Parsed::kPackage, Parsed::kBadHeader},
  };
  for (const LengthCase& c : kCases) {
    const std::string bytes =
        Unhex(c.pack_bytes) + Unhex("001000010000000400000001") + std::string(4096, 'b');
    Package package;
    std::size_t consumed = 0;
    EXPECT_EQ(ParseStream(bytes, &package, &consumed), c.stream) << c.pack_bytes;
    EXPECT_EQ(ParseMessage(bytes, &package), c.message) << c.pack_bytes;
  }
}

TEST(Package, ShortAndNegativeLengthsTakeOnlyTheHeader) {
  for (const char* length : {"00000000", "0000000f", "ffffffff"}) {
    const std::string bytes = Unhex(length) + Unhex("001000010000000200000009") + "following";
    Package package;
    std::size_t consumed = 0;
    ASSERT_EQ(ParseStream(bytes, &package, &consumed), Parsed::kPackage) << length;
    EXPECT_EQ(consumed, kHeaderBytes);
    EXPECT_EQ(package.op, kOpHeartbeat);
    EXPECT_EQ(package.seq, 9);
    EXPECT_TRUE(package.body.empty());
  }
}

TEST(Package, HeaderLengthMustBeSixteen) {
  for (const char* header : {"0000", "000f", "0011", "ffff"}) {
    const std::string bytes = Unhex("00000010") + Unhex(header) + Unhex("00010000000200000001");
    Package package;
    std::size_t consumed = 0;
    EXPECT_EQ(ParseStream(bytes, &package, &consumed), Parsed::kBadHeader) << header;
    EXPECT_EQ(ParseMessage(bytes, &package), Parsed::kBadHeader) << header;
  }
}

TEST(Package, MessageIgnoresSurplusAndNeverReadsPastItsEnd) {
  const std::string bytes = Encode({1, 4, 1, "body"});
  const std::string two = bytes + Encode({1, 2, 2, ""});  // the body borrows it
  Package package;
  ASSERT_EQ(ParseMessage(two, &package), Parsed::kPackage);
  EXPECT_EQ(package.op, 4);
  EXPECT_EQ(package.body, "body");
  EXPECT_EQ(ParseMessage(bytes.substr(0, bytes.size() - 1), &package), Parsed::kBadHeader);
  EXPECT_EQ(ParseMessage(bytes.substr(0, kHeaderBytes - 1), &package), Parsed::kBadHeader);
  EXPECT_EQ(ParseMessage("", &package), Parsed::kBadHeader);
}

TEST(Package, WhatWeSendHasNoLimit) {
  const std::string bytes = Encode({1, 1000, 0, std::string(10'000, 'x')});
  EXPECT_EQ(bytes.size(), 10'016u);
  EXPECT_EQ(Hex(bytes.substr(0, 4)), "00002720");
}

}  // namespace
}  // namespace encke::wire

#include "bus/push_log.h"

#include <set>

#include <gtest/gtest.h>

#include "api/push.pb.h"

namespace encke::bus {
namespace {

TEST(PartitionOf, IsFnv1aOf64Bits) {
  // The published test vectors: "" = cbf29ce484222325, "a" = af63dc4c8601ec8c,
  // "foobar" = 85944171f73967e8.
  const int many = 1 << 16;
  EXPECT_EQ(PartitionOf("", many), 0x2325);
  EXPECT_EQ(PartitionOf("a", many), 0xec8c);
  EXPECT_EQ(PartitionOf("foobar", many), 0x67e8);
  EXPECT_EQ(PartitionOf("anything", 1), 0);
}

TEST(PartitionOf, SpreadsRooms) {
  std::set<int> seen;
  for (int i = 0; i < 200; ++i)
    seen.insert(PartitionOf("live://" + std::to_string(i), 16));
  EXPECT_EQ(seen.size(), 16u);
}

std::vector<std::string> Numbered(int count, std::size_t bytes) {
  std::vector<std::string> pushes;
  for (int i = 0; i < count; ++i)
    pushes.push_back(std::to_string(i) + std::string(bytes, '.'));
  return pushes;
}

TEST(Bundle, ComesApartAsItWasPutTogether) {
  for (const int count : {0, 1, 2, 1022, 1023, 1024, 3000}) {
    const std::vector<std::string> pushes = Numbered(count, 10);
    std::vector<std::string> got;
    std::uint64_t entry = 6, last = 0;
    for (const std::string& payload : Bundle(pushes)) {
      ++entry;
      EachPush(entry, payload, [&](std::uint64_t place, std::string_view push) {
        EXPECT_EQ(EntryOf(place), entry);
        EXPECT_GT(place, last);
        last = place;
        got.emplace_back(push);
      });
      EXPECT_EQ(last, LastPlace(entry));
    }
    EXPECT_EQ(got, pushes);
    EXPECT_EQ(entry - 6, static_cast<std::uint64_t>((count + 1022) / 1023));
  }
}

TEST(Bundle, IsBoundedInBytes) {
  const auto entries = Bundle(Numbered(10, 100'000));
  EXPECT_EQ(entries.size(), 5U);
  for (const std::string& entry : entries)
    EXPECT_LT(entry.size(), std::size_t{300} * 1024);
  EXPECT_EQ(Bundle(Numbered(1, 900'000)).at(0).size(), 900'001U);  // alone, and as it is
}

TEST(Bundle, WhatIsNoneIsOnePush) {
  PushMsg push;
  push.set_room("live://1");
  push.set_msg("hi");
  for (const std::string& payload :
       {push.SerializeAsString(), std::string(), std::string("\xc2\x02"),
        std::string("\xc2\x02\x05"
                    "ab"),
        std::string("junk")}) {
    int count = 0;
    EachPush(7, payload, [&](std::uint64_t place, std::string_view got) {
      EXPECT_EQ(place, LastPlace(7));
      EXPECT_EQ(got, payload);
      ++count;
    });
    EXPECT_EQ(count, 1);
  }
}

TEST(StoreReply, IsASequence) {
  auto reply = ParseStoreReply(R"({"stream":"ENCKE_PUSH", "seq":42})");
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->seq, 42u);
  EXPECT_FALSE(reply->duplicate);
}

TEST(StoreReply, TellsDuplicates) {
  auto reply = ParseStoreReply(R"({"stream":"S","domain":"hub","seq":18446744073709551615,)"
                               R"("duplicate": true})");
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->seq, 18446744073709551615u);
  EXPECT_TRUE(reply->duplicate);
}

TEST(StoreReply, IsNotFooledByAStreamNamedLikeAField) {
  auto reply = ParseStoreReply(R"({"stream":"seq","seq":7})");
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->seq, 7u);
  EXPECT_TRUE(ParseStoreReply(R"({"stream":"error","seq":7})"));
}

TEST(StoreReply, TellsWhyNotStored) {
  auto reply = ParseStoreReply(
      R"({"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"},)"
      R"("stream":"S","seq":0})");
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Errc::kUnavailable);
  EXPECT_NE(reply.error().text.find("maximum bytes exceeded"), std::string::npos);
}

TEST(StoreReply, RefusesWhatItCannotRead) {
  for (const char* text : {"", "{}", "+ACK", R"({"seq":})", R"({"seq":"x"})", R"({"seq")"}) {
    EXPECT_FALSE(ParseStoreReply(text)) << text;
  }
}

}  // namespace
}  // namespace encke::bus

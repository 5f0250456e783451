#include "bus/push_log.h"

#include <set>

#include <gtest/gtest.h>

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

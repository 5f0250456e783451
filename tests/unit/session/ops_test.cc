#include "session/ops.h"

#include <gtest/gtest.h>

#include "wire/op.h"

namespace encke::session {
namespace {

using Ops = std::vector<std::int32_t>;

Ops Parsed(std::string_view text) {
  Ops out;
  EXPECT_TRUE(ParseOps(text, &out)) << text;
  return out;
}

TEST(ParseOps, TakesPlainNumbersSeparatedByCommas) {
  EXPECT_EQ(Parsed(""), Ops{});
  EXPECT_EQ(Parsed("1000"), Ops{1000});
  EXPECT_EQ(Parsed("1000,1001,1002"), (Ops{1000, 1001, 1002}));
  EXPECT_EQ(Parsed("-5,+7,007"), (Ops{-5, 7, 7}));
  EXPECT_EQ(Parsed("2147483647,-2147483648"), (Ops{2147483647, -2147483647 - 1}));
}

TEST(ParseOps, OneBadPieceSpoilsTheList) {
  for (const char* text : {"2000, 2001", ",", "1,", ",1", "1,,2", "a", "1a", "+", "-", "+-1", "1.0",
                           "2147483648", "0x10", " 1", "1 "}) {
    Ops out;
    EXPECT_FALSE(ParseOps(text, &out)) << text;
  }
}

TEST(FindOp, OnlyAuthIsKnownBeforeAuthAndUnknownAfterIt) {
  EXPECT_EQ(FindOp(wire::kOpAuth, Needs::kNothing).name, "auth");
  EXPECT_EQ(FindOp(wire::kOpAuth, Needs::kAuth).name, "other");
  for (const std::int32_t op : {2, 12, 14, 16, 4, 1000}) {
    EXPECT_EQ(FindOp(op, Needs::kNothing).needs, Needs::kAuth) << op;
  }
  EXPECT_EQ(FindOp(wire::kOpHeartbeat, Needs::kAuth).name, "heartbeat");
  for (const std::int32_t op : {0, 1, 3, 4, 5, 8, 9, 13, 15, 17, -1, -5, 123456}) {
    EXPECT_EQ(FindOp(op, Needs::kAuth).name, "other") << op;
  }
}

TEST(FindOp, EachVersionHasItsOwnWords) {
  EXPECT_EQ(FindOp(wire::kOpConnect, Needs::kNothing).name, "connect");
  for (const std::int32_t op : {18, 20, 22, 24, 26, 28, 30})
    EXPECT_EQ(FindOp(op, Needs::kAuth).name, "other") << op;
  EXPECT_EQ(FindOp(wire::kOpBeat, Needs::kTwo).name, "beat");
  for (const std::int32_t op : {2, 7, 12, 14, 16, 18, 1000})
    EXPECT_EQ(FindOp(op, Needs::kTwo).name, "other") << op;
}

}  // namespace
}  // namespace encke::session

#include "timeline/plan.h"

#include <gtest/gtest.h>

namespace encke::timeline {
namespace {

Result<TimelinePlan> Read(const std::string& text) {
  ConfigReader in;
  TimelinePlan plan;
  if (Status opened = in.OpenText(text); !opened) return opened.error();
  ReadPlan(in, &plan);
  if (Status finished = in.Finish(); !finished) return finished.error();
  return plan;
}

TEST(Plan, TypesWithHistoryAreKept) {
  const auto plan = Read(
      "rooms:\n"
      "  live: {history: {messages: 200, age: 5m}}\n"
      "  group: {history: {messages: 1000, age: 7d, bytes: 1m, durable: {age: 365d, bytes: 10g}}}\n"
      "  plain: {}\n"
      "  default: {history: {}}\n"
      "inbox: {messages: 50, age: 2d}\n");
  ASSERT_TRUE(plan) << plan.error().text;
  EXPECT_EQ(plan->Of("live://1")->hot.messages, 200u);
  EXPECT_EQ(plan->Of("live://1")->hot.age, std::chrono::minutes(5));
  EXPECT_FALSE(plan->Of("live://1")->durable);
  ASSERT_TRUE(plan->Of("group://x")->durable);
  EXPECT_EQ(plan->Of("group://x")->durable->bytes, std::int64_t{10} << 30);
  EXPECT_EQ(plan->Of("group://x")->hot.bytes, 1u << 20);
  EXPECT_EQ(plan->Of("default://x")->hot.messages, 1000u);
  EXPECT_EQ(plan->Of("plain://x"), nullptr);
  EXPECT_EQ(plan->Of("live"), nullptr);
  EXPECT_EQ(plan->Of("live://" + std::string(300, 'x')), nullptr);
  EXPECT_EQ(plan->Of("user://7")->hot.messages, 50u);
  EXPECT_EQ(plan->Of("user://x"), nullptr);
  EXPECT_EQ(plan->Of("user://0"), nullptr);
}

TEST(Plan, NothingIsKeptUnlessSaid) {
  const auto plan = Read("{}");
  ASSERT_TRUE(plan);
  EXPECT_TRUE(plan->types.empty());
  EXPECT_EQ(plan->inbox.hot.age, std::chrono::hours(24 * 14));
}

TEST(Plan, MistakesAreNamed) {
  const auto complaint = [](const std::string& text) {
    const auto plan = Read(text);
    return plan ? std::string("fine") : plan.error().text;
  };
  EXPECT_NE(complaint("rooms: {user: {history: {}}}").find("rooms.user"), std::string::npos);
  EXPECT_NE(complaint("rooms: {\"a b\": {}}").find("rooms.a b"), std::string::npos);
  EXPECT_NE(complaint("rooms: {a.b: {}}").find("dot"), std::string::npos);
  EXPECT_NE(complaint("rooms: 5").find("rooms"), std::string::npos);
  EXPECT_NE(complaint("rooms: {live: {histroy: {}}}").find("unknown key"), std::string::npos);
  EXPECT_NE(complaint("rooms: {live: {history: {mesages: 1}}}").find("unknown key"),
            std::string::npos);
  EXPECT_NE(complaint("rooms: {live: {history: {messages: 0}}}").find("messages"),
            std::string::npos);
  EXPECT_NE(complaint("rooms: {live: {history: {age: 5}}}").find("age"), std::string::npos);
  EXPECT_NE(complaint("rooms: {l: {history: {age: 7d, durable: {age: 2h}}}}").find("shorter"),
            std::string::npos);
  EXPECT_NE(complaint("inbox: {age: 1ms}").find("inbox.age"), std::string::npos);
}

TEST(Plan, NamesOfTimelines) {
  EXPECT_EQ(InboxOf(Mid(42)), "user://42");
  EXPECT_EQ(OwnerOf("user://42").value(), 42);
  EXPECT_EQ(OwnerOf("user://042").value(), 0);
  EXPECT_EQ(OwnerOf("user://-1").value(), 0);
  EXPECT_EQ(OwnerOf("user://").value(), 0);
  EXPECT_EQ(OwnerOf("live://42").value(), 0);
  EXPECT_TRUE(IsInbox("user://x"));
  EXPECT_FALSE(IsInbox("users://x"));
  EXPECT_EQ(WhyNoRoom("live://1"), "");
  EXPECT_NE(WhyNoRoom("live"), "");
  EXPECT_NE(WhyNoRoom("live://"), "");
  EXPECT_NE(WhyNoRoom("://1"), "");
  EXPECT_NE(WhyNoRoom("user://1"), "");
  EXPECT_NE(WhyNoRoom("live://" + std::string(250, 'x')), "");
}

}  // namespace
}  // namespace encke::timeline

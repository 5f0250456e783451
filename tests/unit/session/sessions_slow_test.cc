// Clients that read too slowly, and the policies of their rooms.

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "unit/session/two_client.h"

namespace encke::session {
namespace {

using backlog::Policy;

constexpr std::uint64_t kMany = 300;

// Rooms of the types latest, old (with 1007: keep), plain; hardly any room in kernel and outbox.
struct SlowWorld : TwoWorld {
  SlowWorld() : TwoWorld(Options()) {}
  static ShardOptions Options() {
    ShardOptions options;
    options.net.outbox_bytes_max = 128 * 1024;
    options.net.sndbuf_bytes = 4096;
    options.hub.rules.Set("latest", {.policy = Policy::kLatest});
    options.hub.rules.Set("old", {.policy = Policy::kDropOld, .ops = {{1007, Policy::kKeep}}});
    return options;
  }
  std::unique_ptr<TwoClient> Slow(const std::vector<std::string>& rooms, bool on_ws = false) {
    return Two("k1", rooms, 0, on_ws, 4096);
  }
  void Say(const std::string& room, hub::Push push) {
    const std::string body = std::string(push.what.body) + std::string(10'000, '.');
    push.what.body = body;
    sessions->hub().PushRoom(room, push);
    while (sessions->hub().Flush(1000)) {
    }
  }
  ShardStats& stats() { return sessions->stats(); }
  std::uint64_t dropped(Policy policy) {
    return stats().dropped_slow[static_cast<std::size_t>(policy)].value();
  }
};

// What it hears until so many pushes have come or were told as lost.
struct Story {
  std::vector<std::uint64_t> numbers;  // the bodies begin with them
  std::vector<client::Gap> gaps;
  std::uint64_t lost = 0;

  Story(TwoClient& client, std::uint64_t whole) {
    while (numbers.size() + lost < whole) {
      const Heard next = client.Next();
      if (next.op == wire::kOpPush) {
        numbers.push_back(std::stoull(next.As<client::Push>().body()));
      } else if (next.op == wire::kOpGap) {
        gaps.push_back(next.As<client::Gap>());
        lost += gaps.back().lost();
      } else {
        break;
      }
    }
  }
};

TEST(SessionsSlow, ANewerPushTakesThePlaceOfOneOfItsNameThatWaits) {
  for (const bool ws : {false, true}) {
    SlowWorld world;
    auto two = world.Slow({"latest://1"}, ws);
    ASSERT_TRUE(two);
    for (std::uint64_t i = 1; i <= kMany; ++i) {
      const std::string body = std::to_string(i), name = "n" + std::to_string(i % 3);
      world.Say("latest://1", {.what = {.op = 1000, .body = body}, .conflate = name});
    }
    const std::uint64_t conflated = world.stats().dropped_conflated.value();
    EXPECT_GT(conflated, kMany / 2);
    Story story(*two, kMany);
    EXPECT_EQ(story.numbers.size() + story.lost, kMany);
    EXPECT_EQ(story.lost, conflated);
    EXPECT_TRUE(std::is_sorted(story.numbers.begin(), story.numbers.end()));
    ASSERT_GT(story.numbers.size(), 3U);
    const std::vector<std::uint64_t> last(story.numbers.end() - 3, story.numbers.end());
    EXPECT_EQ(last, (std::vector<std::uint64_t>{kMany - 2, kMany - 1, kMany}));
    EXPECT_EQ(story.gaps.front().from(), 0U);
    EXPECT_EQ(story.gaps.front().room(), "latest://1");
  }
}

TEST(SessionsSlow, WithoutANameTheOperationIsTheName) {
  SlowWorld world;
  auto two = world.Slow({"latest://1", "latest://2"});
  ASSERT_TRUE(two);
  for (std::uint64_t i = 1; i <= kMany; ++i) {
    const std::string body = std::to_string(i);
    world.Say(i % 4 < 2 ? "latest://1" : "latest://2",
              {.what = {.op = i % 2 == 0 ? 1000 : 1001, .body = body}});
  }
  Story story(*two, kMany);
  ASSERT_GT(story.numbers.size(), 4U);
  const std::vector<std::uint64_t> last(story.numbers.end() - 4, story.numbers.end());
  EXPECT_EQ(last, (std::vector<std::uint64_t>{kMany - 3, kMany - 2, kMany - 1, kMany}));
}

TEST(SessionsSlow, TheOldestGoAndTheirNumbersAreTold) {
  SlowWorld world;
  auto two = world.Slow({"old://1"});
  ASSERT_TRUE(two);
  for (std::uint64_t i = 1; i <= kMany; ++i) {
    const std::string body = std::to_string(i);
    world.Say("old://1", {.what = {.op = 1000, .body = body, .epoch = 4, .seq = i}});
  }
  Story story(*two, kMany);
  ASSERT_EQ(story.gaps.size(), 1U);
  const client::Gap& gap = story.gaps[0];
  EXPECT_EQ(gap.epoch(), 4U);
  EXPECT_EQ(gap.lost(), world.dropped(Policy::kDropOld));
  EXPECT_EQ(gap.to() - gap.from() + 1, gap.lost());
  std::vector<std::uint64_t> wanted;
  for (std::uint64_t i = 1; i <= kMany; ++i)
    if (i < gap.from() || i > gap.to()) wanted.push_back(i);
  EXPECT_EQ(story.numbers, wanted);
  EXPECT_LT(gap.to(), kMany);
  EXPECT_EQ(world.closed(CloseReason::kSlow), 0U);
}

TEST(SessionsSlow, AnOperationMayBeTooDearToLose) {
  SlowWorld world;
  auto two = world.Slow({"old://1"});
  auto one = world.Tcp("k2", "old://1", 4096);
  ASSERT_TRUE(two && one);
  for (int i = 0; i < 100; ++i)
    world.Say("old://1", {.what = {.op = 1000, .body = "old"}});
  EXPECT_EQ(world.closed(CloseReason::kSlow), 0U);
  for (int i = 0; i < 100 && world.closed(CloseReason::kSlow) < 2; ++i) {
    world.Say("old://1", {.what = {.op = 1007, .body = "dear"}});
    world.Turn();
  }
  EXPECT_TRUE(world.Until([&] { return world.closed(CloseReason::kSlow) == 2; }));
  EXPECT_EQ(world.dropped(Policy::kKeep), 2U);
}

TEST(SessionsSlow, EverythingElseWaitsInTheSameLine) {
  SlowWorld world;
  auto two = world.Slow({"latest://1", "plain://1"});
  ASSERT_TRUE(two);
  for (int i = 0; i < 100; ++i)
    world.Say("latest://1", {.what = {.op = 1000, .body = "0"}});
  world.Say("plain://1", {.what = {.op = 1000, .body = "1"}});
  world.sessions->hub().PushKey(0, {.what = {.op = 1000, .body = "2"}});
  world.sessions->hub().PushAll({.what = {.op = 1000, .body = "3"}}, 0, nullptr);
  while (world.sessions->hub().Flush(1000)) {
  }
  world.Say("latest://1", {.what = {.op = 1000, .body = "4"}});
  Story story(*two, 104);
  ASSERT_GT(story.numbers.size(), 4U);
  const std::vector<std::uint64_t> last(story.numbers.end() - 4, story.numbers.end());
  EXPECT_EQ(last, (std::vector<std::uint64_t>{1, 2, 3, 4}));
}

TEST(SessionsSlow, AReportSaysWhatBecameOfWhoWaited) {
  SlowWorld world;
  auto one = world.Tcp("k", "latest://1", 4096);
  ASSERT_TRUE(one);
  std::vector<std::shared_ptr<hub::Fate>> fates;
  const auto say = [&] {
    auto extras = std::make_shared<hub::Extras>();
    fates.push_back(extras->fate = std::make_shared<hub::Fate>());
    world.Say("latest://1", {.what = {.op = 1000, .body = "x"}, .extras = std::move(extras)});
  };
  while (world.stats().dropped_conflated.value() < 3 && fates.size() < 1000)
    say();
  EXPECT_EQ(fates.back()->queued, 1U);
  const hub::Fate& conflated = *fates[fates.size() - 2];
  EXPECT_EQ(conflated.queued, 0U);
  EXPECT_EQ(conflated.conflated, 1U);
  one->Hang();
  EXPECT_TRUE(world.Until([&] { return fates.back()->slow == 1U; })) << "it left before its turn";
  EXPECT_EQ(fates.back()->queued, 0U);
  EXPECT_EQ(world.stats().dropped_gone.value(), 1U);
}

TEST(SessionsSlow, WhatWaitsOfARoomThatIsLeftIsNotSent) {
  SlowWorld world;
  auto two = world.Slow({"old://1", "old://2"});
  ASSERT_TRUE(two);
  for (std::uint64_t i = 1; i <= 11; ++i) {
    const std::string body = std::to_string(i);
    world.Say(i % 2 == 0 ? "old://1" : "old://2", {.what = {.op = 1000, .body = body}});
  }
  client::Leave leave;
  leave.add_rooms("old://1");
  two->Say(wire::kOpLeave, 5, leave);
  EXPECT_TRUE(world.Until([&] { return world.stats().dropped_gone.value() > 0; }));
  const std::uint64_t gone = world.stats().dropped_gone.value();
  bool left = false;
  std::uint64_t heard = 0;
  while (heard + gone < 11) {
    const Heard next = two->Next();
    ASSERT_NE(next.op, 0);
    left |= next.op == wire::kOpLeaveReply;
    if (next.op != wire::kOpPush) continue;
    ++heard;
    EXPECT_TRUE(!left || next.As<client::Push>().room() == "old://2");
  }
  EXPECT_TRUE(left);
  EXPECT_EQ(world.dropped(Policy::kDropOld), 0U);
}

}  // namespace
}  // namespace encke::session

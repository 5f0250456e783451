// What entries of the log do on a shard beside plain pushes.

#include <gtest/gtest.h>

#include "downlink/reports.h"
#include "unit/downlink/door_world.h"

namespace encke::downlink {
namespace {

TEST_F(PushDoorTest, CommandsReachTheKeyOrEveryMember) {
  Enter(0, 1, "k1", "live://1");
  Enter(1, 2, "k2", "live://1");
  const Connected job(&door);
  PushMsg join = ToKeys({"k2"}, "");
  join.set_type(PushMsg::JOIN);
  join.set_room("live://2");
  PushMsg leave = join;
  leave.set_type(PushMsg::LEAVE);
  PushMsg kick = ToRoom("live://1", "bye");
  kick.set_type(PushMsg::KICK);
  job.Send(Message().Batch(3, 7).Entry(1, join).Entry(2, leave).Entry(3, kick));
  shards[0].Run();
  shards[1].Run();
  EXPECT_EQ(shards[0].commands, "kick 1 bye\n");
  EXPECT_EQ(shards[1].commands, "join 2 live://2\nleave 2 live://2\nkick 2 bye\n");
  join.clear_room();
  job.Send(Message().Batch(3, 7).Entry(4, join));
  EXPECT_EQ(door.counts().malformed.value(), 1U);
}

TEST_F(PushDoorTest, RepairedPushesGoFirstAndLateOnesNotAtAll) {
  Enter(0, 1, "k1", "live://1");
  const Connected job(&door);
  const auto numbered = [](const std::string& body, std::uint64_t seq) {
    PushMsg push = ToRoom("live://1", body);
    push.set_epoch(5);
    push.set_seq(seq);
    return push;
  };
  PushMsg late = numbered("d", 4);
  late.set_expires_us(1);
  Message message;
  message.Batch(3, 7).Entry(1, numbered("c", 3)).Entry(2, late).Entry(3, numbered("c", 3));
  PushDown down = message.down();
  LogEntry& entry = *down.mutable_batches(0)->mutable_entries(0);
  entry.add_before(numbered("a", 1).SerializeAsString());
  entry.add_before(numbered("b", 2).SerializeAsString());
  job.user->OnMessage(down);
  EXPECT_EQ(shards[0].Run(), "1 <- 1:a 1:b 1:c\n");
  shards[1].Run();
  EXPECT_EQ(door.counts().repaired.value(), 2U);
  EXPECT_EQ(door.counts().expired.value(), 2U);  // on each shard
}

TEST_F(PushDoorTest, WhatBecameOfAPushIsReportedWhenItsSenderAsks) {
  Reports reports;
  PushDoor reporting({.reports = &reports}, interest, directory, {&shards[0], &shards[1]}, "c", 5);
  Enter(0, 1, "k1", "live://1");
  Enter(0, 2, "k2", "live://1");
  Enter(1, 3, "k3", "live://1");
  shards[0].sink.slow = {2};
  const Connected job(&reporting);
  PushMsg room = ToRoom("live://1", "x");
  room.set_id("p1");
  room.set_report(true);
  PushMsg keys = ToKeys({"k1", "k3", "gone"}, "y", 99);  // nobody accepts it
  keys.set_id("p2");
  keys.set_report(true);
  PushMsg late = room;
  late.set_id("p3");
  late.set_expires_us(1);
  job.Send(Message().Batch(3, 7).Entry(1, room).Entry(2, keys).Entry(3, late).Entry(
      4, ToRoom("live://1", "unasked")));
  shards[0].Run();
  shards[1].Run();
  const auto news = reports.Collect(10);
  ASSERT_EQ(news.size(), 3U);
  const auto& first = news[0].counts();
  EXPECT_EQ(news[0].id(), "p1");
  EXPECT_EQ(first.at("matched"), 3U);
  EXPECT_EQ(first.at("sent"), 2U);
  EXPECT_EQ(first.at("dropped_slow"), 1U);
  EXPECT_EQ(news[1].counts().at("filtered"), 2U);
  EXPECT_EQ(news[1].counts().at("unknown"), 1U);
  EXPECT_EQ(news[2].counts().at("expired"), 3U);  // connections, as all the others
  EXPECT_TRUE(reports.Collect(20).empty());       // no news
}

TEST(Reports, EntriesOfOnePushAreToldTogether) {
  Reports reports;
  const auto room = reports.Open("a");
  const auto other = reports.Open("a");
  ++room->sent;
  ++other->sent;
  const auto news = reports.Collect(1);
  ASSERT_EQ(news.size(), 1U);
  EXPECT_EQ(news[0].counts().at("sent"), 2U);
}

TEST(Reports, WhoWaitedAndWasDroppedIsNews) {
  Reports reports;
  const auto fate = reports.Open("a");
  ++fate->queued;
  EXPECT_EQ(reports.Collect(1)[0].counts().at("queued"), 1U);
  --fate->queued;
  ++fate->conflated;
  const auto news = reports.Collect(2);
  ASSERT_EQ(news.size(), 1U);
  EXPECT_EQ(news[0].counts().at("queued"), 0U);
  EXPECT_EQ(news[0].counts().at("dropped_conflated"), 1U);
  EXPECT_EQ(news[0].counts().at("matched"), 1U);
}

TEST(Reports, TheOldestIsForgottenAndQuietOnesToo) {
  Reports reports(2);
  reports.Open("a");
  auto fate = reports.Open("b");
  reports.Open("c");
  EXPECT_EQ(reports.forgotten().value(), 1U);
  EXPECT_EQ(reports.Collect(1).size(), 2U);
  ++fate->sent;
  EXPECT_EQ(reports.Collect(2).size(), 1U);
  EXPECT_TRUE(reports.Collect(Reports::kQuietMs + 10).empty());
  ++fate->sent;
  EXPECT_EQ(reports.Collect(Reports::kQuietMs + 20).size(), 1U) << "it was still under way";
  const std::weak_ptr<hub::Fate> forgotten = fate;
  fate.reset();
  EXPECT_TRUE(reports.Collect(2 * Reports::kQuietMs + 30).empty());
  EXPECT_TRUE(forgotten.expired());
}

}  // namespace
}  // namespace encke::downlink

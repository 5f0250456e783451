#include "job/comet_link.h"

#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "unit/job/fakes.h"

namespace encke::job {
namespace {

using Put = CometLink::Put;

class CometLinkTest : public testing::Test {
 protected:
  std::shared_ptr<CometLink> Link(const LinkOptions& options = {}) {
    auto link = std::make_shared<CometLink>(CometLink::Names{"c1", "host:1", "job7"}, options,
                                            world.ports(), stats, gate);
    link->Open();
    return link;
  }

  Stats stats;
  Gate gate;
  FakeWorld world;  // holds links, which use both
};

TEST_F(CometLinkTest, GreetsFirstAndSendsNothingBeforeTheSnapshot) {
  auto link = Link();
  EXPECT_EQ(world.stream().kicks, 1);
  EXPECT_EQ(link->Offer(RoomMessage(1, "a"), 0), Put::kQueued);
  const PushDown down = world.ReceiveAll();
  EXPECT_EQ(down.job(), "job7");
  EXPECT_EQ(down.batches_size(), 0);
  world.Hello(1, {"a"});
  EXPECT_EQ(world.Receive(), "p0f1: 1");
  EXPECT_TRUE(world.ReceiveAll().job().empty());
}

TEST_F(CometLinkTest, ASnapshotDropsOnlyRoomsThatAreNotThere) {
  auto link = Link();
  link->Offer(RoomMessage(1, "a"), 0);
  link->Offer(RoomMessage(2, "b"), 0);
  link->Offer(PushTo(3, "c1"), 0);
  world.Hello(1, {"b"});
  EXPECT_EQ(world.Receive(), "p0f1: 2 3");
  EXPECT_EQ(stats.not_concerned.value(), 1U);
}

TEST_F(CometLinkTest, InterestIsConfirmedWhenItIsInForce) {
  auto link = Link();
  world.Hello(1, {});
  EXPECT_EQ(world.ReceiveAll().interest_ack(), 1U);
  EXPECT_EQ(link->Offer(RoomMessage(1, "a"), 0), Put::kNotConcerned);
  world.Interest(2, {"a"});
  EXPECT_EQ(link->Offer(RoomMessage(2, "a"), 0), Put::kQueued);
  const PushDown down = world.ReceiveAll();
  EXPECT_EQ(down.interest_ack(), 2U);
  EXPECT_EQ(Text(down), "p0f1: 2");
  world.Interest(3, {}, {"a"});
  EXPECT_EQ(link->Offer(RoomMessage(3, "a"), 0), Put::kNotConcerned);
}

TEST_F(CometLinkTest, ABrokenStreamMakesEveryRoomWantedUntilTheNextSnapshot) {
  auto link = Link();
  world.Hello(1, {"a"});
  world.Break();
  EXPECT_EQ(link->Offer(RoomMessage(1, "new"), 0), Put::kQueued);
  world.RunTimers();
  ASSERT_EQ(world.streams.size(), 2U);
  world.Receive();
  world.Hello(1, {"new"});
  EXPECT_EQ(world.Receive(), "p0f1: 1");
}

// The comet knew before us that the stream was dead, and let somebody into "new" without us.
TEST_F(CometLinkTest, WhatADeadStreamDidNotWantIsHeldAgainstTheNextSnapshot) {
  auto link = Link();
  world.Hello(1, {"a"});
  link->Offer(RoomMessage(1, "a"), 0);
  EXPECT_EQ(world.Receive(), "p0f1: 1");
  EXPECT_EQ(link->Offer(RoomMessage(2, "new"), 0), Put::kNotConcerned);
  link->Offer(RoomMessage(3, "other"), 0);
  link->Offer(RoomMessage(4, "a"), 0);
  EXPECT_EQ(world.Receive(), "p0f1: 4");
  world.Ack(4);
  EXPECT_EQ(link->Oldest(0), 2U);  // whoever reads after us begins there
  link->Offer(RoomMessage(5, "a"), 0);
  EXPECT_EQ(world.Receive(), "p0f1: 5");
  world.Break();
  world.RunTimers();
  world.Hello(1, {"a", "new"});
  EXPECT_EQ(world.Receive(), "p0f1: 2 5");
  EXPECT_EQ(link->Oldest(0), 2U);
  world.Ack(5);
  EXPECT_EQ(link->Oldest(0), std::nullopt);
}

TEST_F(CometLinkTest, AnEchoProvesWhatWasJudgedBeforeItsTick) {
  auto link = Link();
  world.Hello(1, {"a"});
  world.Receive();
  link->Offer(RoomMessage(1, "x"), 0);
  link->Offer(RoomMessage(2, "x"), 0);
  ASSERT_EQ(world.timers.size(), 1U);  // one tick for all
  EXPECT_EQ(world.ReceiveAll().tick(), 0U);
  world.RunTimers();
  EXPECT_EQ(world.ReceiveAll().tick(), 1U);
  link->Offer(RoomMessage(3, "x"), 0);  // after the tick
  world.Echo(1);
  EXPECT_EQ(link->Oldest(0), 3U);
  world.RunTimers();
  EXPECT_EQ(world.ReceiveAll().tick(), 2U);
  world.Echo(2);
  EXPECT_EQ(link->Oldest(0), std::nullopt);
  EXPECT_TRUE(world.timers.empty());  // nothing in doubt, nothing said
}

TEST_F(CometLinkTest, DoubtsAreBoundedAndCounted) {
  LinkOptions options;
  options.outbox.doubt_bytes_max = 2 * Outbox::Cost(*RoomMessage(1, "x"));
  auto link = Link(options);
  world.Hello(1, {"a"});
  for (const std::uint64_t seq : {1, 2, 3})
    link->Offer(RoomMessage(seq, "x"), 0);
  EXPECT_EQ(stats.doubts_given_up.value(), 1U);
  EXPECT_EQ(link->Oldest(0), 2U);
  link->Forget(0);
  EXPECT_EQ(link->Oldest(0), std::nullopt);
}

TEST_F(CometLinkTest, ASnapshotInPiecesIsKnownWithItsLast) {
  auto link = Link();
  link->Offer(RoomMessage(1, "b"), 0);
  PushUp up;
  up.set_boot(1);
  up.mutable_interest()->set_number(1);
  up.mutable_interest()->set_snapshot(true);
  up.mutable_interest()->set_more(true);
  up.mutable_interest()->add_joined("a");
  world.stream().user->OnMessage(up);
  EXPECT_FALSE(link->view().up);
  EXPECT_EQ(world.Receive(), "");
  EXPECT_EQ(link->Offer(RoomMessage(2, "b"), 0), Put::kQueued);
  world.Interest(2, {"b"});
  EXPECT_TRUE(link->view().up);
  EXPECT_EQ(world.Receive(), "p0f1: 1 2");
  EXPECT_EQ(link->view().rooms, 2U);
}

TEST_F(CometLinkTest, WhatWasNotAcknowledgedIsSentAgainToTheSameComet) {
  auto link = Link();
  world.Hello(1, {"a"});
  for (const std::uint64_t seq : {1, 2, 3})
    link->Offer(RoomMessage(seq, "a"), 0);
  EXPECT_EQ(world.Receive(), "p0f1: 1 2 3");
  world.Ack(1);
  world.Break();
  EXPECT_EQ(link->Oldest(0), 2U);
  world.RunTimers();
  world.Hello(1, {"a"});
  EXPECT_EQ(world.Receive(), "p0f1: 2 3");
  EXPECT_EQ(stats.resent.value(), 2U);
  EXPECT_EQ(stats.acked.value(), 1U);
}

TEST_F(CometLinkTest, ARestartedCometGetsOnlyWhatWasNotSentToTheOldOne) {
  auto link = Link();
  world.Hello(1, {"a"});
  link->Offer(RoomMessage(1, "a"), 0);
  EXPECT_EQ(world.Receive(), "p0f1: 1");
  world.Break();
  link->Offer(RoomMessage(2, "a"), 0);  // its new clients may have joined already
  world.RunTimers();
  world.Hello(/*boot=*/2, {"a"});
  EXPECT_EQ(world.Receive(), "p0f1: 2");
  EXPECT_EQ(stats.undeliverable.value(), 1U);
  EXPECT_EQ(stats.resent.value(), 0U);
}

TEST_F(CometLinkTest, RetriesSlowDownAndBecomeQuickAgain) {
  auto link = Link();
  for (const int ms : {50, 100, 200, 400, 800, 1000, 1000}) {
    world.Break();
    ASSERT_EQ(world.timers.size(), 1U);
    EXPECT_EQ(world.timers.front().first, Duration(ms));
    world.RunTimers();
  }
  world.Hello(1, {});
  world.Break();
  EXPECT_EQ(world.timers.front().first, Duration(50));
}

TEST_F(CometLinkTest, ClosingCountsWhatWaitsAndStaysClosed) {
  auto link = Link();
  link->Offer(RoomMessage(1, "a"), 0);
  link->Close();
  EXPECT_TRUE(world.stream().closed);
  EXPECT_EQ(stats.undeliverable.value(), 1U);
  EXPECT_EQ(link->Oldest(0), std::nullopt);
  world.Break();
  EXPECT_TRUE(world.timers.empty());
  EXPECT_EQ(link->Offer(RoomMessage(2, "a"), 0), Put::kNotConcerned);
  link->Open();
  EXPECT_EQ(world.streams.size(), 1U);
}

TEST_F(CometLinkTest, ANewAddressMovesTheStream) {
  auto link = Link();
  link->Move("host:1");
  EXPECT_FALSE(world.stream().closed);
  link->Move("host:2");
  EXPECT_TRUE(world.stream().closed);
  world.Break();
  world.RunTimers();
  EXPECT_EQ(world.stream().address, "host:2");
}

TEST_F(CometLinkTest, AFullQueueBlocksForAWhileThenTheCometIsLeftBehind) {
  const std::size_t one = Outbox::Cost(*RoomMessage(1, "a"));
  auto link = Link({.queue_bytes_max = 2 * one, .stuck_timeout = Duration(5000)});
  world.Hello(1, {"a"});
  EXPECT_EQ(link->Offer(RoomMessage(1, "a"), 0), Put::kQueued);
  EXPECT_EQ(link->Offer(RoomMessage(2, "a"), 0), Put::kQueued);
  EXPECT_EQ(link->Offer(RoomMessage(3, "a"), 0), Put::kFull);
  world.now_us += 4'999'999;
  EXPECT_EQ(link->Offer(RoomMessage(3, "a"), 0), Put::kFull);
  world.now_us += 1;
  EXPECT_EQ(link->Offer(RoomMessage(3, "a"), 0), Put::kLeftBehind);
  EXPECT_EQ(link->Offer(RoomMessage(4, "a"), 0), Put::kLeftBehind);  // never blocks again
  EXPECT_EQ(stats.left_behind.value(), 2U);
  EXPECT_TRUE(link->view().left_behind);
  EXPECT_EQ(world.Receive(), "p0f1: 1 2");
  world.Ack(1);  // half of the queue is free: it works again
  EXPECT_EQ(link->Offer(RoomMessage(5, "a"), 0), Put::kQueued);
  EXPECT_EQ(world.Receive(), "p0f1: 5");
  EXPECT_EQ(link->Oldest(0), 2U);
}

TEST_F(CometLinkTest, ACometThatKeepsUpStartsTheClockAnew) {
  const std::size_t one = Outbox::Cost(*RoomMessage(1, "a"));
  auto link = Link({.queue_bytes_max = 2 * one, .stuck_timeout = Duration(5000)});
  world.Hello(1, {"a"});
  link->Offer(RoomMessage(1, "a"), 0);
  link->Offer(RoomMessage(2, "a"), 0);
  EXPECT_EQ(link->Offer(RoomMessage(3, "a"), 0), Put::kFull);
  world.now_us += 4'000'000;
  world.Receive();
  world.Ack(1);
  EXPECT_EQ(link->Offer(RoomMessage(3, "a"), 0), Put::kQueued);
  EXPECT_EQ(link->Offer(RoomMessage(4, "a"), 0), Put::kFull);
  world.now_us += 4'000'000;
  EXPECT_EQ(link->Offer(RoomMessage(4, "a"), 0), Put::kFull);
}

TEST_F(CometLinkTest, AMessageLargerThanTheQueuePassesAlone) {
  auto link = Link({.queue_bytes_max = 1});
  EXPECT_EQ(link->Offer(RoomMessage(1, "a"), 0), Put::kQueued);
  EXPECT_EQ(link->Offer(RoomMessage(2, "a"), 0), Put::kFull);
}

TEST_F(CometLinkTest, ARefusedFenceIsCounted) {
  auto link = Link();
  world.Hello(1, {"a"});
  link->Offer(RoomMessage(1, "a"), 0);
  world.Receive();
  world.Ack(0, 0, 1, /*refused=*/true);
  EXPECT_EQ(stats.fenced.value(), 1U);
  EXPECT_EQ(stats.acked.value(), 0U);
  EXPECT_EQ(link->Oldest(0), std::nullopt);
}

TEST_F(CometLinkTest, ASignalIsFollowedByAKick) {
  LinkOptions options;
  options.outbox.room_signal = Duration(10);
  auto link = Link(options);
  world.Hello(1, {"a"});
  world.Receive();  // what is due anyway
  const int kicks = world.stream().kicks;
  link->Offer(RoomMessage(1, "a"), 0);
  link->Offer(RoomMessage(2, "a"), 0);
  EXPECT_EQ(world.stream().kicks, kicks);
  ASSERT_EQ(world.timers.size(), 1U);  // one timer, not one for each
  EXPECT_EQ(world.Receive(), "");
  world.now_us += 10'000;
  world.RunTimers();
  EXPECT_EQ(world.stream().kicks, kicks + 1);
  EXPECT_EQ(world.Receive(), "p0f1: 1 2");
}

TEST_F(CometLinkTest, TheNextMessageGathersLongerBehindOneOfManyPushes) {
  LinkOptions options;
  options.busy_pushes = 3;
  auto link = Link(options);
  world.Hello(1, {"a"});
  EXPECT_EQ(link->Gap(), Duration(1));
  for (const std::uint64_t seq : {1U, 2U, 3U})
    link->Offer(RoomMessage(seq, "a"), 0);
  EXPECT_EQ(world.Receive(), "p0f1: 1 2 3");
  EXPECT_EQ(link->Gap(), options.busy_gap);
  link->Offer(RoomMessage(4, "a"), 0);
  EXPECT_EQ(world.Receive(), "p0f1: 4");
  EXPECT_EQ(link->Gap(), Duration(1));
}

TEST_F(CometLinkTest, NoStreamIsOpenedOnceTheGateIsShut) {
  gate.CloseAndWait();
  auto link = Link();
  EXPECT_TRUE(world.streams.empty());
}

}  // namespace
}  // namespace encke::job

#include "job/outbox.h"

#include <string>

#include <gtest/gtest.h>

#include "unit/job/fakes.h"

namespace encke::job {
namespace {

class OutboxTest : public testing::Test {
 protected:
  std::string Pack(Outbox& box) {
    PushDown down;
    box.Pack(&down, now_us);
    return Text(down);
  }
  static PushAck AckOf(std::uint64_t seq, std::uint64_t fence = 1, bool refused = false) {
    PushAck ack;
    ack.set_fence(fence);
    ack.set_seq(seq);
    ack.set_refused(refused);
    return ack;
  }
  std::size_t Ack(Outbox& box, const PushAck& ack) { return box.Ack(ack, now_us, &ack_us); }

  std::int64_t now_us = 0;
  Histogram ack_us;
};

TEST_F(OutboxTest, PacksEverythingThatWaitsOnceAndInOrder) {
  Outbox box({});
  EXPECT_EQ(Pack(box), "");
  box.Add(RoomMessage(3, "a"), 0, 0);
  box.Add(RoomMessage(9, "a", /*partition=*/1), 0, 0);
  box.Add(RoomMessage(5, "b"), 0, 0);
  EXPECT_EQ(Pack(box), "p0f1: 3 5 | p1f1: 9");
  EXPECT_EQ(Pack(box), "");
  EXPECT_EQ(box.entries(), 3U);
}

TEST_F(OutboxTest, APayloadTravelsAsItIs) {
  Outbox box({});
  box.Add(Broadcast(1), 12.5, 0);
  PushDown down;
  box.Pack(&down, 0);
  EXPECT_EQ(down.batches(0).entries(0).push(), "all#1");
  EXPECT_EQ(down.batches(0).entries(0).rate(), 12.5);
}

TEST_F(OutboxTest, AnAckReleasesEverythingUpToItAndOnlyWhatWasSent) {
  Outbox box({});
  for (const std::uint64_t seq : {3, 5, 8})
    box.Add(RoomMessage(seq, "a"), 0, 0);
  EXPECT_EQ(Ack(box, AckOf(100)), 0U);  // nothing was sent yet
  Pack(box);
  EXPECT_EQ(box.Oldest(0), 3U);
  EXPECT_EQ(Ack(box, AckOf(5)), 2U);
  EXPECT_EQ(box.Oldest(0), 8U);
  EXPECT_EQ(Ack(box, AckOf(8)), 1U);
  EXPECT_EQ(box.Oldest(0), std::nullopt);
  EXPECT_EQ(box.bytes(), 0U);
  EXPECT_EQ(ack_us.count(), 3U);
}

TEST_F(OutboxTest, AcksOfAnotherFenceOrPartitionDoNothing) {
  Outbox box({});
  box.Add(RoomMessage(3, "a"), 0, 0);
  Pack(box);
  EXPECT_EQ(Ack(box, AckOf(3, /*fence=*/2)), 0U);
  PushAck other = AckOf(3);
  other.set_partition(4);
  EXPECT_EQ(Ack(box, other), 0U);
  EXPECT_EQ(box.entries(), 1U);
}

TEST_F(OutboxTest, ARefusedFenceEmptiesItsLane) {
  Outbox box({});
  box.Add(RoomMessage(3, "a"), 0, 0);
  Pack(box);
  box.Add(RoomMessage(4, "a"), 0, 0);
  box.Add(RoomMessage(9, "a", /*partition=*/1), 0, 0);
  EXPECT_EQ(Ack(box, AckOf(0, 1, /*refused=*/true)), 2U);
  EXPECT_EQ(Pack(box), "p1f1: 9");
}

TEST_F(OutboxTest, ANewerFenceReplacesTheOlder) {
  Outbox box({});
  box.Add(RoomMessage(3, "a", 0, 1), 0, 0);
  Pack(box);
  box.Add(RoomMessage(4, "a", 0, 1), 0, 0);
  box.Add(RoomMessage(3, "a", 0, 2), 0, 0);
  EXPECT_EQ(Pack(box), "p0f2: 3");
  EXPECT_EQ(box.entries(), 1U);
}

TEST_F(OutboxTest, AnotherLogReplacesTheOlderAndItsAcksDoNotCount) {
  Outbox box({});
  box.Add(RoomMessage(900, "a"), 0, 0);
  Pack(box);
  auto first = std::make_shared<Message>(*RoomMessage(1, "a"));
  first->log = 8;
  box.Add(first, 0, 0);
  PushDown down;
  box.Pack(&down, 0);
  EXPECT_EQ(Text(down), "p0f1: 1");
  EXPECT_EQ(down.batches(0).log(), 8U);
  EXPECT_EQ(Ack(box, AckOf(900)), 0U);
  PushAck ack = AckOf(1);
  ack.set_log(8);
  EXPECT_EQ(Ack(box, ack), 1U);
}

TEST_F(OutboxTest, RewindSendsAgainInTheSameOrder) {
  Outbox box({});
  box.Add(RoomMessage(3, "a"), 0, 0);
  box.Add(RoomMessage(4, "a"), 0, 0);
  Pack(box);
  box.Add(RoomMessage(5, "a"), 0, 0);
  Ack(box, AckOf(3));
  EXPECT_EQ(box.Rewind(), 1U);
  EXPECT_EQ(Pack(box), "p0f1: 4 5");
}

TEST_F(OutboxTest, DropSentKeepsWhatWaits) {
  Outbox box({});
  box.Add(RoomMessage(3, "a"), 0, 0);
  Pack(box);
  box.Add(RoomMessage(4, "a"), 0, 0);
  EXPECT_EQ(box.DropSent(), 1U);
  EXPECT_EQ(Pack(box), "p0f1: 4");
  EXPECT_EQ(box.entries(), 1U);
}

TEST_F(OutboxTest, DropRoomsSparesOtherKindsAndWhatWasSent) {
  Outbox box({});
  box.Add(RoomMessage(1, "gone"), 0, 0);
  Pack(box);
  box.Add(RoomMessage(2, "gone"), 0, 0);
  box.Add(RoomMessage(3, "here"), 0, 0);
  box.Add(Broadcast(4), 0, 0);
  box.Add(PushTo(5, "c1"), 0, 0);
  EXPECT_EQ(box.DropRooms([](const std::string& room) { return room == "here"; }), 1U);
  EXPECT_EQ(Pack(box), "p0f1: 3 4 5");
  EXPECT_EQ(Ack(box, AckOf(5)), 4U);
  EXPECT_EQ(box.bytes(), 0U);
}

TEST_F(OutboxTest, AMessageIsBoundedAndLanesTakeTurns) {
  Outbox box({.batch_bytes_max = 1});  // so one entry fills a message
  box.Add(RoomMessage(1, "a", 0), 0, 0);
  box.Add(RoomMessage(2, "a", 0), 0, 0);
  box.Add(RoomMessage(3, "a", 5), 0, 0);
  EXPECT_EQ(Pack(box), "p0f1: 1");
  EXPECT_EQ(Pack(box), "p5f1: 3");
  EXPECT_EQ(Pack(box), "p0f1: 2");
  EXPECT_EQ(Pack(box), "");
}

TEST_F(OutboxTest, ForgetEmptiesOneLane) {
  Outbox box({});
  box.Add(RoomMessage(1, "a", 0), 0, 0);
  Pack(box);
  box.Add(RoomMessage(2, "a", 0), 0, 0);
  box.Add(RoomMessage(3, "a", 1), 0, 0);
  EXPECT_EQ(box.Forget(0), 2U);
  EXPECT_EQ(box.Forget(7), 0U);
  EXPECT_EQ(Pack(box), "p1f1: 3");
  EXPECT_EQ(box.Clear(), 1U);
  EXPECT_EQ(box.bytes(), 0U);
  EXPECT_EQ(box.waiting(), 0U);
}

TEST_F(OutboxTest, ASignalHoldsRoomMessagesUntilTheTimeIsUp) {
  Outbox box({.room_signal = Duration(10), .room_batch = 3});
  box.Add(RoomMessage(1, "a"), 0, 0);
  now_us = 9'999;
  box.Add(RoomMessage(2, "b"), 0, now_us);
  EXPECT_EQ(Pack(box), "");
  now_us = 10'000;
  EXPECT_EQ(Pack(box), "p0f1: 1 2");
  box.Add(RoomMessage(3, "a"), 0, now_us);
  EXPECT_FALSE(box.Due(now_us));
}

TEST_F(OutboxTest, ASignalEndsEarlyWhenARoomHasItsBatch) {
  Outbox box({.room_signal = Duration(10), .room_batch = 2});
  box.Add(RoomMessage(1, "a"), 0, 0);
  box.Add(RoomMessage(2, "b"), 0, 0);
  EXPECT_FALSE(box.Due(0));
  box.Add(RoomMessage(3, "a"), 0, 0);
  EXPECT_EQ(Pack(box), "p0f1: 1 2 3");
}

TEST_F(OutboxTest, ASignalNeverHoldsOtherKindsNorWhatIsBeforeThem) {
  Outbox box({.room_signal = Duration(10), .room_batch = 20});
  box.Add(RoomMessage(1, "a"), 0, 0);
  box.Add(PushTo(2, "c1"), 0, 0);
  EXPECT_EQ(Pack(box), "p0f1: 1 2");
}

}  // namespace
}  // namespace encke::job

// What a job sends and is answered, with shards whose mailboxes the test empties by hand.

#include <gtest/gtest.h>

#include "unit/downlink/door_world.h"

namespace encke::downlink {
namespace {

TEST_F(PushDoorTest, GreetsWithItsNameAndItsRooms) {
  interest.Present("live://1", true);
  const Connected job(&door);
  EXPECT_EQ(job.handle->kicks, 1);
  EXPECT_EQ(job.Up(), "c1/5 all +live://1 ");
  EXPECT_EQ(job.Up(), "nothing");
  EXPECT_EQ(door.counts().jobs.value(), 1);
  bool known = false;
  interest.WhenKnown("live://2", [&known](bool in_time) { known = in_time; });
  EXPECT_EQ(job.handle->kicks, 2);
  EXPECT_EQ(job.Up(), "+live://2 ");
  PushDown confirms;
  confirms.set_interest_ack(2);
  job.Send(confirms);
  EXPECT_TRUE(known);
}

TEST_F(PushDoorTest, RoomsThatDoNotFitFollowWithoutAKick) {
  InterestOptions options;
  options.message_bytes_max = 1;
  Interest few(options);
  PushDoor small({}, few, directory, {&shards[0], &shards[1]}, "c1", 5);
  const Connected job(&small);
  EXPECT_EQ(job.Up(), "c1/5 all ");
  for (const char* room : {"live://1", "live://2"})
    few.Present(room, true);
  EXPECT_EQ(job.handle->kicks, 2);  // of them one, for both
  EXPECT_EQ(job.Up(), "+live://1 ");
  EXPECT_TRUE(job.user->Written());
  EXPECT_EQ(job.Up(), "+live://2 ");
  EXPECT_TRUE(job.user->Written());
  EXPECT_EQ(job.Up(), "nothing");
  EXPECT_FALSE(job.user->Written());
}

TEST_F(PushDoorTest, EveryShardGetsRoomsAndOnlyOneGetsAKey) {
  Enter(0, 1, "k1", "live://1");
  Enter(1, 1, "k2", "live://1");
  const Connected job(&door);
  job.Send(
      Message().Batch(3, 7).Entry(10, ToRoom("live://1", "a")).Entry(12, ToRoom("live://1", "b")));
  EXPECT_EQ(shards[0].mailbox.size(), 1U);  // one task for both
  EXPECT_EQ(shards[0].Run(), "1 <- 1:a 1:b\n");
  EXPECT_EQ(shards[1].Run(), "1 <- 1:a 1:b\n");
  EXPECT_EQ(shards[1].flushes, 1);
  job.Send(Message().Batch(3, 7).Entry(13, ToKeys({"k2", "nobody"}, "hello")));
  EXPECT_TRUE(shards[0].mailbox.empty());
  EXPECT_EQ(shards[1].Run(), "1 <- 1:hello\n");
  EXPECT_EQ(door.counts().unknown_keys.value(), 1U);
  EXPECT_EQ(door.counts().entries.value(), 3U);
  EXPECT_EQ(door.counts().delay_us.count(), 4U);
}

TEST_F(PushDoorTest, AKeyThatLeftOrSharesAHashIsNotServed) {
  hub::Directory colliding(0);
  PushDoor other({}, interest, colliding, {&shards[0], &shards[1]}, "c1", 5);
  for (const std::uint32_t shard : {0U, 1U}) {
    const std::string key = "k" + std::to_string(shard);
    shards[shard].hub().Enter(7, hub::Format::kTcp, Key(key), {1});
    colliding.Put(key, {shard, 7});
  }
  const Connected job(&other);
  job.Send(Message().Batch(0, 1).Entry(1, ToKeys({"k1"}, "mine")));
  EXPECT_EQ(shards[0].Run(), "");
  EXPECT_EQ(shards[1].Run(), "7 <- 1:mine\n");
  job.Send(Message().Batch(0, 1).Entry(2, ToKeys({"k1"}, "too late")));
  shards[1].hub().Leave(7);
  EXPECT_EQ(shards[1].Run(), "");
  job.Send(Message().Batch(0, 1).Entry(3, ToKeys({"k0"}, "unwanted", 99)));
  EXPECT_EQ(shards[0].Run(), "");
  EXPECT_EQ(other.counts().filtered.value(), 1U);
}

TEST_F(PushDoorTest, ABatchIsAcknowledgedWhenEveryShardHasItAndInOrder) {
  Enter(0, 1, "k1", "");
  const Connected job(&door);
  job.Up();
  job.Send(Message().Batch(3, 7).Entry(10, ToRoom("r", "a")));
  job.Send(Message().Batch(3, 7).Entry(11, ToKeys({"k1"}, "b")).Batch(4, 2).Entry(9, ToAll("c")));
  const int kicks = job.handle->kicks;
  shards[0].Run();
  EXPECT_EQ(job.Up(), "nothing");
  EXPECT_EQ(job.handle->kicks, kicks);
  shards[1].mailbox.front()();  // the first message is in all hubs now, the second not
  shards[1].mailbox.pop_front();
  EXPECT_EQ(job.Up(), "nothing");
  shards[1].Flush();
  EXPECT_EQ(job.handle->kicks, kicks + 1);
  EXPECT_EQ(job.Up(), "p3/f7=10 ");
  shards[1].Run();
  EXPECT_EQ(job.Up(), "p3/f7=11 p4/f2=9 ");
}

TEST_F(PushDoorTest, ALaterMessageThatIsDoneFirstDoesNotSpeakForAnEarlierOne) {
  Enter(0, 1, "k1", "");
  Enter(1, 1, "k2", "");
  const Connected job(&door);
  job.Up();
  job.Send(Message().Batch(3, 7).Entry(10, ToKeys({"k1"}, "a")));
  job.Send(Message().Batch(3, 7).Entry(11, ToKeys({"k2"}, "b")));
  job.Send(Message().Batch(3, 7).Entry(12, ToKeys({"gone"}, "c")));  // concerns no shard
  shards[1].Run();
  EXPECT_EQ(job.Up(), "nothing");
  shards[0].Run();
  EXPECT_EQ(job.Up(), "p3/f7=12 ");
}

TEST_F(PushDoorTest, RepeatsAreDroppedAndOlderLeasesRefused) {
  Enter(0, 1, "k1", "r");
  const Connected old_job(&door);
  const Connected new_job(&door);
  old_job.Up();
  new_job.Up();
  old_job.Send(Message().Batch(3, 7).Entry(10, ToRoom("r", "a")).Entry(11, ToRoom("r", "b")));
  new_job.Send(Message().Batch(3, 8).Entry(11, ToRoom("r", "b")).Entry(12, ToRoom("r", "c")));
  old_job.Send(Message().Batch(3, 7).Entry(13, ToRoom("r", "from the past")));
  EXPECT_EQ(shards[0].Run(), "1 <- 1:a 1:b 1:c\n");
  shards[1].Run();
  EXPECT_EQ(old_job.Up(), "p3/f7=11 refused p3/f7=13 ");
  EXPECT_EQ(new_job.Up(), "p3/f8=12 ");
  new_job.Send(Message().Batch(3, 8).Entry(13, ToRoom("r", "d")));
  new_job.Send(Message().Batch(3, 8).Entry(12, ToRoom("r", "c")));  // as after a reconnect
  EXPECT_EQ(shards[0].Run(), "1 <- 1:d\n");
  shards[1].Run();
  EXPECT_EQ(new_job.Up(), "p3/f8=13 ");
  EXPECT_EQ(door.counts().repeats.value(), 2U);
  EXPECT_EQ(door.counts().refused_fence.value(), 1U);
}

TEST_F(PushDoorTest, AnotherLogStartsAnew) {
  Enter(0, 1, "k1", "r");
  const Connected job(&door);
  job.Send(Message().Batch(3, 7, /*log=*/50).Entry(900, ToRoom("r", "old")));
  job.Send(Message().Batch(3, 8, /*log=*/60).Entry(1, ToRoom("r", "new")));
  job.Send(Message().Batch(3, 8, /*log=*/60).Entry(1, ToRoom("r", "again")));
  EXPECT_EQ(shards[0].Run(), "1 <- 1:old 1:new\n");
  shards[1].Run();
  EXPECT_EQ(door.counts().repeats.value(), 1U);
}

TEST_F(PushDoorTest, AMalformedEntryIsCountedAndHurtsNobodyElse) {
  Enter(0, 1, "k1", "r");
  const Connected job(&door);
  job.Up();
  PushMsg strange = ToRoom("r", "x");
  strange.set_type(static_cast<PushMsg::Type>(77));
  job.Send(Message()
               .Batch(3, 7)
               .Raw(1, "\xff\xff not a message")
               .Entry(2, ToRoom("", "no room"))
               .Entry(3, strange)
               .Entry(4, ToKeys({}, "no keys"))
               .Entry(5, ToRoom("r", "fine")));
  EXPECT_EQ(shards[0].Run(), "1 <- 1:fine\n");
  shards[1].Run();
  EXPECT_EQ(job.Up(), "p3/f7=5 ");
  EXPECT_EQ(door.counts().malformed.value(), 4U);
}

TEST_F(PushDoorTest, AFullMailboxHoldsTheStreamUpAndLosesNothing) {
  Enter(0, 1, "k1", "r");
  const Connected job(&door);
  job.Up();
  int refusals = 3;
  shards[0].on_post = [&refusals] { return refusals-- <= 0; };
  job.Send(Message().Batch(3, 7).Entry(1, ToRoom("r", "a")));
  EXPECT_EQ(door.counts().mailbox_waits.value(), 3U);
  EXPECT_EQ(shards[0].Run(), "1 <- 1:a\n");
  shards[1].Run();
  EXPECT_EQ(job.Up(), "p3/f7=1 ");
}

TEST_F(PushDoorTest, WhatCouldNotBeTakenAtOnceGoesOnWhereItStopped) {
  Enter(0, 1, "k1", "r");
  Enter(1, 2, "k2", "r");
  const Connected job(&door);
  job.Up();
  bool full = true;
  shards[1].on_post = [&full] { return !full; };
  const Message message = Message().Batch(3, 7).Entry(1, ToRoom("r", "a"));
  EXPECT_FALSE(job.user->TryMessage(message.down()));
  EXPECT_EQ(shards[0].Run(), "1 <- 1:a\n");
  EXPECT_EQ(job.Up(), "nothing");
  full = false;
  job.user->OnMessage(message.down());
  EXPECT_EQ(shards[0].Run(), "");
  EXPECT_EQ(shards[1].Run(), "2 <- 1:a\n");
  EXPECT_EQ(job.Up(), "p3/f7=1 ");
  EXPECT_TRUE(job.user->TryMessage(Message().Batch(3, 7).Entry(2, ToRoom("r", "b")).down()));
}

// The first job waits for a mailbox until the second has asked for its turn.
TEST_F(PushDoorTest, ATakeoverWaitsForWhatTheFormerOwnerIsStillPosting) {
  Enter(0, 1, "k1", "r");
  const Connected old_job(&door);
  const Connected new_job(&door);
  new_job.Up();
  std::thread takeover;
  shards[0].on_post = [&] {
    if (!takeover.joinable()) {
      takeover = std::thread([&new_job] {
        new_job.Send(Message().Batch(3, 8).Entry(1, ToRoom("r", "a")).Entry(2, ToRoom("r", "b")));
      });
    }
    return door.counts().turn_waits.value() > 0;
  };
  old_job.Send(Message().Batch(3, 7).Entry(1, ToRoom("r", "a")));
  takeover.join();
  EXPECT_EQ(shards[0].Run(), "1 <- 1:a 1:b\n");
  shards[1].Run();
  EXPECT_EQ(new_job.Up(), "p3/f8=2 ");
}

TEST_F(PushDoorTest, DrainClosesRefusesAndEndsWaits) {
  const Connected job(&door);
  job.Up();
  shards[0].on_post = [this] {
    door.Drain();
    return false;
  };
  job.Send(Message().Batch(3, 7).Entry(1, ToRoom("r", "a")));  // comes back
  EXPECT_TRUE(job.handle->closed);
  EXPECT_EQ(job.Up(), "nothing");
  const Connected late(&door);
  EXPECT_EQ(late.user, nullptr);
}

TEST_F(PushDoorTest, ABroadcastReachesAllAndItsRateIsShared) {
  for (hub::Slot slot = 0; slot < 30; ++slot)
    Enter(0, slot, "a" + std::to_string(slot), "");
  for (hub::Slot slot = 0; slot < 10; ++slot)
    Enter(1, slot, "b" + std::to_string(slot), "");
  const Connected job(&door);
  job.Up();
  job.Send(Message().Batch(3, 7).Entry(1, ToAll("x")));
  shards[0].Run();
  shards[1].Run();
  EXPECT_EQ(shards[0].hub().counts().deliveries.value(), 30U);
  EXPECT_EQ(shards[1].hub().counts().deliveries.value(), 10U);
  job.Up();
  job.Send(Message().Batch(3, 7).Entry(2, ToAll("slowly"), 40));
  shards[0].Run();
  shards[1].Run();
  EXPECT_EQ(job.Up(), "p3/f7=2 ");  // taken over, though it goes on for a second
  EXPECT_EQ(shards[0].hub().counts().deliveries.value(), 31U);  // one went at once
  EXPECT_EQ(shards[0].hub().NextPaceMs(0), 34);                 // 30 a second here
  EXPECT_EQ(shards[1].hub().NextPaceMs(0), 100);                // 10 a second there
}

TEST_F(PushDoorTest, WhatAClosedStreamLeftInMailboxesStillRuns) {
  Enter(0, 1, "k1", "r");
  {
    const Connected job(&door);
    job.Send(Message().Batch(3, 7).Entry(1, ToRoom("r", "a")));
  }
  EXPECT_EQ(door.counts().jobs.value(), 0);
  EXPECT_EQ(shards[0].Run(), "1 <- 1:a\n");
  shards[1].Run();
}

}  // namespace
}  // namespace encke::downlink

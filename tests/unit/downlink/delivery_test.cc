// What entries of the log do on a shard beside plain pushes.

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace encke::downlink

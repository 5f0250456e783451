// Version 2 at its bounds: slow clients, many requests, exclusions, backends, answers that are
// late.

#include <gtest/gtest.h>

#include "unit/session/two_client.h"

namespace encke::session {
namespace {

using client::Error;

TEST(SessionsTwo, TooManyRequestsHoldTheReading) {
  ShardOptions options;
  options.talk.requests_max = 3;
  TwoWorld world(options);
  auto two = world.Two("k1", {"group://1"});
  for (int i = 1; i <= 5; ++i)
    two->Say(wire::kOpBeat, i, client::Beat());
  ASSERT_TRUE(world.Until([&] { return world.logic.requests.size() == 3; }));
  EXPECT_TRUE(two->Silent());
  EXPECT_EQ(world.logic.requests.size(), 3U);
  for (int i = 1; i <= 5; ++i) {
    world.AnswerHeads(1, 40);
    const Heard heard = two->Next();
    EXPECT_EQ(heard.seq, i);
    ASSERT_EQ(heard.As<client::BeatReply>().heads_size(), 1);
    EXPECT_EQ(heard.As<client::BeatReply>().heads(0).seq(), 40U);
  }
}

TEST(SessionsTwo, AcknowledgesAreCursorsOfTheDevice) {
  TwoWorld world;
  auto two = world.Two("k1", {});
  client::Ack ack;
  two->Say(wire::kOpAck, 3, ack);
  EXPECT_EQ(two->Next().As<client::AckReply>().error().field(), "epoch");
  ack.set_epoch(5);
  ack.set_seq(6);
  two->Say(wire::kOpAck, 0, ack);
  const Request request = world.TakeRequest();
  EXPECT_EQ(request.cursor().seq(), 6U);
  EXPECT_EQ(request.device(), "d1");
  encke::Reply done;
  done.set_id(request.id());
  world.sessions->Hear(done);
  EXPECT_TRUE(two->Silent());
}

TEST(SessionsTwo, ASlowClientIsToldItsGapWhenItReadsAgain) {
  ShardOptions options;
  options.net.outbox_bytes_max = 32 * 1024;
  options.net.sndbuf_bytes = 4096;
  TwoWorld world(options);
  auto two = world.Two("k1", {"live://1"}, 0, false, 4096);
  ASSERT_TRUE(two);
  const std::string body(10'000, 'x');
  std::uint64_t seq = 0;
  while (world.sessions->hub().counts().dropped.value() < 3 && seq < 1000)
    world.Push("live://1", body, ++seq);
  std::uint64_t heard = 0;
  Heard next = two->Next();
  for (; next.op == wire::kOpPush; next = two->Next())
    EXPECT_EQ(next.As<client::Push>().seq(), ++heard);
  ASSERT_EQ(next.op, wire::kOpGap);
  const auto gap = next.As<client::Gap>();
  EXPECT_EQ(gap.room(), "live://1");
  EXPECT_EQ(gap.from(), heard + 1);
  EXPECT_EQ(gap.to(), seq);
  EXPECT_EQ(gap.lost(), 3U);
  EXPECT_EQ(gap.reason(), client::Gap::SLOW);
}

TEST(SessionsTwo, ARoomOfTypeKeepClosesWhoIsTooSlowForIt) {
  ShardOptions options;
  options.net.outbox_bytes_max = 32 * 1024;
  options.net.sndbuf_bytes = 4096;
  options.hub.rules.Set("keep", {.policy = backlog::Policy::kKeep});
  TwoWorld world(options);
  auto two = world.Two("k1", {"keep://1"}, 0, false, 4096);
  auto one = world.Tcp("k2", "keep://1", 4096);
  const std::string body(10'000, 'x');
  for (std::uint64_t seq = 1; world.closed(CloseReason::kSlow) < 2 && seq < 1000; ++seq) {
    world.Push("keep://1", body, seq);
    two->Silent();
    if (seq % 50 == 0) world.Turn();
  }
  EXPECT_TRUE(world.Until([&] { return world.closed(CloseReason::kSlow) >= 1; }));
}

TEST(SessionsTwo, BackendsPutClientsIntoRoomsAndTakeThemOut) {
  TwoWorld world;
  auto two = world.Two("k1", {});
  auto one = world.Tcp("k2");
  const hub::Slot first = world.directory.Find("k1")[0].slot;
  const hub::Slot second = world.directory.Find("k2")[0].slot;
  world.sessions->Enter(first, "group://1");
  world.sessions->Enter(second, "group://1");
  world.AnswerHeads(1, 3);
  const Heard joined = two->Next();
  EXPECT_EQ(joined.op, wire::kOpJoinReply);
  EXPECT_EQ(joined.seq, 0);
  EXPECT_EQ(joined.As<client::JoinReply>().rooms(0).seq(), 3U);
  EXPECT_TRUE(world.Until([&] { return world.sessions->hub().MembersHere("group://1") == 2; }));
  EXPECT_EQ(one->Hear(), "");  // version 1 has no words for it
  world.sessions->Exit(first, "group://1");
  world.sessions->Exit(second, "group://1");
  EXPECT_EQ(two->Next().As<client::LeaveReply>().rooms(0), "group://1");
  EXPECT_EQ(world.sessions->hub().MembersHere("group://1"), 0U);
}

// A backend's commands take effect in the order of the log, although a join waits for the jobs.
TEST(SessionsTwo, ABackendsLeaveCallsOffTheJoinBeforeIt) {
  TwoWorld world;
  auto two = world.Two("k1", {});
  auto one = world.Tcp("k2");
  const hub::Slot first = world.directory.Find("k1")[0].slot;
  const hub::Slot second = world.directory.Find("k2")[0].slot;
  for (const hub::Slot slot : {first, second}) {
    world.sessions->Enter(slot, "group://1");
    world.sessions->Exit(slot, "group://1");
  }
  EXPECT_TRUE(two->Silent());
  EXPECT_EQ(world.sessions->hub().MembersHere("group://1"), 0U);
  world.sessions->Enter(second, "group://1");
  world.sessions->Enter(second, "group://2");
  world.sessions->Exit(second, "group://2");
  world.sessions->Enter(second, "group://3");
  EXPECT_TRUE(world.Until([&] { return world.sessions->hub().RoomOf(second) == "group://3"; }));
  EXPECT_EQ(world.sessions->session(second).stage, Stage::kReady);
}

TEST(SessionsTwo, ARoomThatWasLeftBeforeItsHeadCameIsNotCalledJoined) {
  TwoWorld world;
  auto two = world.Two("k1", {});
  const hub::Slot slot = world.directory.Find("k1")[0].slot;
  world.sessions->Enter(slot, "group://1");
  ASSERT_TRUE(world.Until([&] { return !world.logic.requests.empty(); }));
  world.sessions->Exit(slot, "group://1");
  EXPECT_EQ(two->Next().op, wire::kOpLeaveReply);
  world.AnswerHeads(1, 3);
  const auto joined = two->Next().As<client::JoinReply>();
  EXPECT_EQ(joined.rooms(0).error().code(), client::Error::NOT_JOINED);
}

TEST(SessionsTwo, WhoIsLeftOutHearsTheNumber) {
  TwoWorld world;
  auto two = world.Two("k1", {"group://1"});
  auto extras = std::make_shared<hub::Extras>();
  extras->not_keys = {"k1"};
  world.sessions->hub().PushRoom(
      "group://1", {.what = {.op = 1000, .body = "x", .epoch = 1, .seq = 4}, .extras = extras});
  while (world.sessions->hub().Flush(1000)) {
  }
  const auto gap = two->Next().As<client::Gap>();
  EXPECT_EQ(gap.reason(), client::Gap::EXCLUDED);
  EXPECT_EQ(gap.from(), 4U);
  EXPECT_EQ(gap.to(), 4U);
}

TEST(SessionsTwo, RoomsAreBoundedPerClient) {
  ShardOptions options;
  options.talk.rooms_max = 2;
  TwoWorld world(options);
  TwoClient two(world);
  two.Say(wire::kOpConnect, 1, ConnectTo({"a://1", "a://2", "a://3"}));
  ASSERT_TRUE(world.Admits("k1"));
  world.AnswerHeads(0, 0);
  const auto reply = two.Next().As<client::ConnectReply>();
  EXPECT_FALSE(reply.rooms(1).has_error());
  EXPECT_EQ(reply.rooms(2).error().code(), Error::LIMIT);
  EXPECT_EQ(world.interest.rooms(), 2U) << "the jobs hear nothing of the third";
}

TEST(SessionsTwo, AWordThatDoesNotExistIsAnError) {
  TwoWorld world;
  auto two = world.Two("k1", {});
  two->SayRaw(Packed(99, 6, "?", 2));
  const Heard heard = two->Next();
  EXPECT_EQ(heard.op, wire::kOpError);
  EXPECT_EQ(heard.seq, 6);
  EXPECT_EQ(heard.As<Error>().field(), "op");
  two->SayRaw(Packed(wire::kOpJoin, 7, "\xff", 2));
  EXPECT_EQ(two->Next().As<client::JoinReply>().error().field(), "body");
}

TEST(SessionsTwo, AnAnswerForSomebodyWhoLeftIsNobodys) {
  TwoWorld world;
  auto two = world.Two("k1", {"group://1"});
  two->Say(wire::kOpBeat, 1, client::Beat());
  const Request request = world.TakeRequest();
  two->socket().Hang();
  ASSERT_TRUE(world.Until([&] { return !world.logic.goodbyes.empty(); }));
  encke::Reply reply;
  reply.set_id(request.id());
  world.sessions->Hear(reply);
  EXPECT_EQ(world.sessions->talks().stats().answers_late.value(), 1U);
  EXPECT_EQ(world.sessions->talks().waiting(), 0U);
}

TEST(SessionsTwo, WhenLogicTakesNothingMoreTheClientIsToldSo) {
  TwoWorld world;
  auto two = world.Two("k1", {"group://1"});
  world.logic.full = true;
  client::Sync sync;
  sync.set_room("group://1");
  two->Say(wire::kOpSync, 5, sync);
  EXPECT_EQ(two->Next().As<client::SyncReply>().error().code(), Error::UNAVAILABLE);
  two->Say(wire::kOpBeat, 6, client::Beat());
  const Heard beat = two->Next();
  EXPECT_EQ(beat.op, wire::kOpBeatReply);
  EXPECT_EQ(beat.As<client::BeatReply>().heads_size(), 0);
}

}  // namespace
}  // namespace encke::session

// Version 2 on real sockets, with a logic that answers when told to.

#include <gtest/gtest.h>

#include "unit/session/two_client.h"

namespace encke::session {
namespace {

using client::Error;

TEST(SessionsTwo, ConnectAsksForItsRoomsAndHearsTheirHeads) {
  TwoWorld world;
  TwoClient two(world);
  two.Say(wire::kOpConnect, 9, ConnectTo({"live://1", "nonsense", "live://no", "live://1"}));
  ASSERT_TRUE(world.Until([&] { return !world.logic.asks.empty(); }));
  const encke::Connect ask = world.logic.asks.front();
  EXPECT_EQ(ask.version(), 2);
  EXPECT_EQ(ask.device(), "d1");
  EXPECT_EQ(ask.platform(), "web");
  EXPECT_EQ(ask.token(), "{}");
  ConnectReply answer = world.Welcome(ask, "k1", "live://token");
  answer.add_rooms_refused("live://no");
  world.sessions->Answer(answer);
  EXPECT_TRUE(two.Silent());  // logic has not told the heads
  EXPECT_EQ(world.sessions->hub().RoomCount(0), 2U);
  world.AnswerHeads(5, 77);
  const Heard heard = two.Next();
  EXPECT_EQ(heard.op, wire::kOpConnectReply);
  EXPECT_EQ(heard.seq, 9);
  const auto reply = heard.As<client::ConnectReply>();
  EXPECT_EQ(reply.mid(), 7);
  EXPECT_EQ(reply.key(), "k1");
  EXPECT_EQ(reply.heartbeat_ms(), 480'000);
  EXPECT_EQ(reply.inbox().room(), "user://7");
  EXPECT_EQ(reply.limits().rooms(), 100U);
  ASSERT_EQ(reply.rooms_size(), 4);
  EXPECT_EQ(reply.rooms(0).room(), "live://1");
  EXPECT_TRUE(reply.rooms(0).kept());
  EXPECT_EQ(reply.rooms(0).epoch(), 5U);
  EXPECT_EQ(reply.rooms(0).seq(), 77U);
  EXPECT_FALSE(reply.rooms(0).syncing());
  EXPECT_EQ(reply.rooms(1).error().field(), "rooms[1].room");
  EXPECT_EQ(reply.rooms(2).error().code(), Error::REFUSED);
  EXPECT_EQ(reply.rooms(3).room(), "live://token");
}

TEST(SessionsTwo, BothVersionsShareARoom) {
  TwoWorld world;
  auto one = world.Tcp("k1", "live://1");
  auto two = world.Two("k2", {"live://1", "live://2"});
  auto ws = world.Two("k3", {"live://1"}, 0, true);
  ASSERT_TRUE(one && two && ws);
  world.Push("live://1", "hi", 1);
  EXPECT_TRUE(world.Hears(*one, Packed(1000, 0, "hi")));
  for (TwoClient* client : {two.get(), ws.get()}) {
    const auto push = client->Next().As<client::Push>();
    EXPECT_EQ(push.room(), "live://1");
    EXPECT_EQ(push.epoch(), 1U);
    EXPECT_EQ(push.seq(), 1U);
    EXPECT_EQ(push.op(), 1000);
    EXPECT_EQ(push.body(), "hi");
  }
}

TEST(SessionsTwo, AConnectThatMakesNoSenseIsClosedWithTheField) {
  TwoWorld world;
  for (const bool ws : {false, true}) {
    TwoClient two(world, ws);
    two.SayRaw(Packed(wire::kOpConnect, 1, "\xff\xff", 2));
    const Heard heard = two.Next();
    EXPECT_EQ(heard.op, wire::kOpClose);
    const auto close = heard.As<client::Close>();
    EXPECT_EQ(close.name(), "bad_connect");
    EXPECT_EQ(close.text().substr(0, 5), "body ");
    EXPECT_FALSE(close.may_return());
    EXPECT_TRUE(two.Closes());
  }
  TwoClient two(world);
  client::Connect connect;
  connect.set_device(std::string(200, 'x'));
  two.Say(wire::kOpConnect, 1, connect);
  EXPECT_EQ(two.Next().As<client::Close>().text(), "device is over 128 bytes");
}

TEST(SessionsTwo, EveryEndOfTheServerHasAReasonAndAdvice) {
  TwoWorld world;
  TwoClient refused(world);
  refused.Say(wire::kOpConnect, 1, ConnectTo({}));
  ASSERT_TRUE(world.Until([&] { return !world.logic.asks.empty(); }));
  ConnectReply no;
  no.set_id(std::exchange(world.logic.asks, {}).front().id());
  no.set_refused("who?");
  world.sessions->Answer(no);
  EXPECT_EQ(refused.Next().As<client::Close>().code(), 3500);
  auto again = world.Two("k1", {});
  again->Say(wire::kOpConnect, 2, ConnectTo({}));
  EXPECT_EQ(again->Next().As<client::Close>().name(), "bad_connect");
  auto kicked = world.Two("k2", {}, 0, true);
  const auto home = world.directory.Find("k2");
  ASSERT_EQ(home.size(), 1U);
  world.sessions->Kick(home[0].slot, "spam");
  const auto close = kicked->Next().As<client::Close>();
  EXPECT_EQ(close.code(), 3502);
  EXPECT_EQ(close.text(), "spam");
  EXPECT_FALSE(close.may_return());
  auto drained = world.Two("k3", {});
  world.sessions->Drain();
  const auto shutdown = drained->Next().As<client::Close>();
  EXPECT_EQ(shutdown.name(), "shutdown");
  EXPECT_TRUE(shutdown.may_return());
  EXPECT_EQ(shutdown.after_ms(), 100);
  EXPECT_TRUE(drained->Closes());
}

TEST(SessionsTwo, AJoinIsInForceBeforeItsHeadIsAsked) {
  TwoWorld world;
  auto two = world.Two("k1", {});
  client::Join join;
  join.add_rooms()->set_room("group://1");
  join.add_rooms()->set_room("user://9");
  join.add_accepts(2000);
  two->Say(wire::kOpJoin, 4, join);
  client::Leave leave;  // said in the same breath
  leave.add_rooms("group://1");
  const Request heads = world.TakeRequest();
  EXPECT_EQ(heads.device(), "d1");
  EXPECT_EQ(heads.mid(), 7);
  ASSERT_EQ(heads.heads().timelines_size(), 1);
  EXPECT_EQ(world.sessions->hub().MembersHere("group://1"), 1U);
  world.logic.requests.push_back(heads);
  world.AnswerHeads(3, 5);
  const Heard heard = two->Next();
  EXPECT_EQ(heard.op, wire::kOpJoinReply);
  EXPECT_EQ(heard.seq, 4);
  const auto reply = heard.As<client::JoinReply>();
  EXPECT_EQ(reply.rooms(0).seq(), 5U);
  EXPECT_EQ(reply.rooms(1).error().field(), "rooms[1].room");
  EXPECT_EQ(world.sessions->hub().PushKey(0, 2000, "x"), hub::Pushed::kQueued);
  EXPECT_EQ(two->Next().op, wire::kOpPush);
  leave.add_accepts(2000);
  two->Say(wire::kOpLeave, 5, leave);
  EXPECT_EQ(two->Next().As<client::LeaveReply>().rooms(0), "group://1");
  EXPECT_EQ(world.sessions->hub().MembersHere("group://1"), 0U);
  EXPECT_EQ(world.sessions->hub().PushKey(0, 2000, "x"), hub::Pushed::kFiltered);
}

TEST(SessionsTwo, ALeaveBehindAJoinFindsItJoined) {
  downlink::InterestOptions waits;
  waits.join_wait = Duration(60'000);
  TwoWorld world({}, waits);
  auto two = world.Two("k1", {});
  const auto job = world.interest.AddJob([] {});
  client::Join join;
  join.add_rooms()->set_room("a://1");
  client::Leave leave;
  leave.add_rooms("a://1");
  two->Say(wire::kOpJoin, 1, join);
  two->Say(wire::kOpLeave, 2, leave);
  EXPECT_TRUE(two->Silent());
  ::encke::Interest delta;
  while (world.interest.Fill(job, &delta)) {
    world.interest.Confirmed(job, delta.number());
    delta.Clear();
  }
  world.AnswerHeads(0, 0);
  std::string ops = std::to_string(two->Next().op) + " " + std::to_string(two->Next().op);
  EXPECT_TRUE(ops == "21 23" || ops == "23 21") << ops;
  EXPECT_EQ(world.sessions->hub().MembersHere("a://1"), 0U);
  world.interest.RemoveJob(job);
}

TEST(SessionsTwo, AResumeFetchesWhatIsMissingAndKeepsBackWhatIsNotForIt) {
  TwoWorld world;
  TwoClient two(world);
  client::Connect connect = ConnectTo({"group://1"});
  connect.mutable_rooms(0)->set_epoch(1);
  connect.mutable_rooms(0)->set_seq(4);
  two.Say(wire::kOpConnect, 1, connect);
  ASSERT_TRUE(world.Admits("k1"));
  world.AnswerHeads(1, 7);
  EXPECT_TRUE(two.Next().As<client::ConnectReply>().rooms(0).syncing());
  const Request request = world.TakeRequest();
  EXPECT_EQ(request.fetch().timeline(), "group://1");
  EXPECT_EQ(request.fetch().after(), 4U);
  encke::Reply answer;
  answer.set_id(request.id());
  Fetched& fetched = *answer.mutable_fetched();
  fetched.set_epoch(1);
  fetched.set_newest(7);
  fetched.set_oldest(1);
  for (std::uint64_t seq = 5; seq <= 7; ++seq) {
    PushMsg push;
    push.set_epoch(1);
    push.set_seq(seq);
    push.set_msg(std::to_string(seq));
    if (seq == 6) push.add_exclude_platforms("web");
    if (seq == 7) push.set_expires_us(1);
    fetched.add_pushes(push.SerializeAsString());
  }
  world.sessions->Hear(answer);
  const Heard heard = two.Next();
  EXPECT_EQ(heard.op, wire::kOpSyncReply);
  EXPECT_EQ(heard.seq, 0);
  const auto reply = heard.As<client::SyncReply>();
  ASSERT_EQ(reply.pushes_size(), 1);
  EXPECT_EQ(reply.pushes(0).body(), "5");
  EXPECT_EQ(reply.pushes(0).room(), "group://1");
  EXPECT_EQ(reply.through(), 7U);
  EXPECT_FALSE(reply.more());
}

TEST(SessionsTwo, SyncIsForRoomsOneIsInAndForTheOwnInbox) {
  TwoWorld world;
  auto two = world.Two("k1", {"group://1"});
  client::Sync sync;
  for (const auto& [room, code] :
       {std::pair{"group://2", Error::NOT_JOINED}, std::pair{"user://8", Error::INVALID},
        std::pair{"x", Error::INVALID}}) {
    sync.set_room(room);
    two->Say(wire::kOpSync, 2, sync);
    const auto reply = two->Next().As<client::SyncReply>();
    EXPECT_EQ(reply.error().code(), code);
    EXPECT_EQ(reply.error().field(), "room");
  }
  sync.set_room("user://7");
  sync.set_limit(1'000'000);
  two->Say(wire::kOpSync, 3, sync);
  const Request request = world.TakeRequest();
  EXPECT_EQ(request.fetch().limit(), 200U);
  encke::Reply away;
  away.set_id(request.id());
  away.set_error("Redis is away");
  away.set_retry(true);
  world.sessions->Hear(away);
  const auto reply = two->Next().As<client::SyncReply>();
  EXPECT_EQ(reply.error().code(), Error::UNAVAILABLE);
  EXPECT_GT(reply.error().after_ms(), 0);
}

TEST(SessionsTwo, PublishIsCheckedRatedAndAnswered) {
  ShardOptions options;
  options.talk.publish_rate = 0.01;
  options.talk.publish_burst = 2;
  TwoWorld world(options);
  auto two = world.Two("k1", {"group://1"});
  client::Publish publish;
  const auto refusal = [&](const client::Publish& request) {
    two->Say(wire::kOpPublish, 1, request);
    return two->Next().As<client::PublishReply>().error();
  };
  EXPECT_EQ(refusal(publish).field(), "room");
  publish.set_room("group://2");
  EXPECT_EQ(refusal(publish).field(), "op");
  publish.set_op(1000);
  EXPECT_EQ(refusal(publish).code(), Error::NOT_JOINED);
  publish.set_room("group://1");
  publish.set_to_mid(3);
  EXPECT_EQ(refusal(publish).field(), "room");
  publish.clear_to_mid();
  publish.set_client_id(std::string(65, 'x'));
  EXPECT_EQ(refusal(publish).field(), "client_id");
  publish.set_client_id("c1");
  publish.set_body("hello");
  publish.set_stored(true);
  two->Say(wire::kOpPublish, 8, publish);
  const Request request = world.TakeRequest();
  EXPECT_EQ(request.key(), "k1");
  EXPECT_EQ(request.publish().client_id(), "c1");
  EXPECT_EQ(request.publish().body(), "hello");
  EXPECT_TRUE(request.publish().stored());
  encke::Reply done;
  done.set_id(request.id());
  done.mutable_published()->set_push_id("p9");
  done.mutable_published()->set_epoch(1);
  done.mutable_published()->set_seq(12);
  world.sessions->Hear(done);
  const Heard heard = two->Next();
  EXPECT_EQ(heard.seq, 8);
  const auto reply = heard.As<client::PublishReply>();
  EXPECT_EQ(reply.client_id(), "c1");
  EXPECT_EQ(reply.id(), "p9");
  EXPECT_EQ(reply.seq(), 12U);
  EXPECT_FALSE(reply.has_error());
  publish.clear_client_id();
  two->Say(wire::kOpPublish, 9, publish);
  EXPECT_EQ(world.TakeRequest().publish().client_id()[0], '~');  // named by us
  const Error rate = refusal(publish);
  EXPECT_EQ(rate.code(), Error::RATE);
  EXPECT_GT(rate.after_ms(), 0);
}

}  // namespace
}  // namespace encke::session

#include "session/sessions.h"

#include <gtest/gtest.h>

#include "unit/session/world.h"

namespace encke::session {
namespace {

TEST(Auth, TheCapturedExchange) {
  World world;
  Client client(world.tcp);
  const std::string token =
      R"({"mid":123, "room_id":"live://1000", "platform":"web", "accepts":[1000,1001,1002]})";
  ASSERT_EQ(token.size(), 82u);
  client.Say(Hex("00000062 0010 0001 00000007 00000001") + token);
  ASSERT_TRUE(world.Until([&] { return !world.logic.asks.empty(); }));
  EXPECT_EQ(world.logic.asks[0].token(), token);
  EXPECT_EQ(world.logic.asks[0].cookie(), "");
  EXPECT_EQ(world.logic.asks[0].client_ip(), "127.0.0.1");
  ASSERT_TRUE(world.LetIn(client, "k", "live://1000"));
  EXPECT_EQ(client.Take(), Hex("00000010 0010 0001 00000008 00000001"));
  EXPECT_EQ(world.directory.Find("k").size(), 1u);
  EXPECT_EQ(world.addresses.distinct(), 1u);
  EXPECT_EQ(world.sessions->hub().MembersHere("live://1000"), 1u);
}

TEST(Auth, OtherPackagesBeforeItAreSkippedSilently) {
  World world;
  Client client(world.tcp);
  client.Say(Packed(2, 1, {}) + Packed(4, 2, "x") + Packed(12, 3, "live://1") + Packed(7, 9, "{}"));
  ASSERT_TRUE(world.LetIn(client, "k"));
  EXPECT_EQ(client.Take(), Packed(8, 9, {}));
  EXPECT_EQ(world.sessions->stats().skipped.value(), 3u);
}

TEST(Auth, NothingMoreIsReadWhileLogicIsAsked) {
  World world;
  Client client(world.tcp);
  client.Say(Packed(7, 1, "{}", 0) + Packed(2, 2, {}) + Packed(7, 3, "again"));
  ASSERT_TRUE(world.LetIn(client, "k"));
  EXPECT_TRUE(
      world.Hears(client, Packed(8, 1, {}, 0) + Packed(3, 2, Hex("00000000")) + Packed(7, 3, {})));
  EXPECT_EQ(world.logic.packages.size(), 1u) << "a second auth is a word like any other";
}

TEST(Auth, RefusedIsABareClose) {
  World world;
  Client client(world.tcp);
  client.Say(Packed(7, 1, "1,424"));
  ASSERT_TRUE(world.Until([&] { return !world.logic.asks.empty(); }));
  ConnectReply reply;
  reply.set_id(world.logic.asks[0].id());
  reply.set_refused("not JSON");
  world.sessions->Answer(reply);
  EXPECT_TRUE(world.Closes(client));
  EXPECT_EQ(client.Take(), "");
  EXPECT_EQ(world.closed(CloseReason::kAuthRefused), 1u);
  EXPECT_TRUE(world.logic.goodbyes.empty());
}

TEST(Auth, AFullLinkClosesTheClient) {
  World world;
  world.logic.full = true;
  Client client(world.tcp);
  client.Say(Packed(7, 1, "{}"));
  EXPECT_TRUE(world.Closes(client));
  EXPECT_EQ(world.closed(CloseReason::kAuthUnavailable), 1u);
}

TEST(Auth, TheTimerRunsFromAccept) {
  ShardOptions options;
  options.session.handshake_timeout = Duration(30);
  World world(options);
  Client silent(world.tcp), talking(world.tcp), asking(world.tcp), browser(world.ws);
  talking.Say(Packed(2, 1, {}));
  asking.Say(Packed(7, 1, "{}"));
  for (Client* client : {&silent, &talking, &asking, &browser})
    EXPECT_TRUE(world.Closes(*client));
  EXPECT_TRUE(world.Until([&] { return world.closed(CloseReason::kHandshakeTimeout) == 4; }));
}

TEST(Auth, AnAnswerForSomebodyWhoLeftBecomesAGoodbye) {
  World world;
  auto client = std::make_unique<Client>(world.tcp);
  client->Say(Packed(7, 1, "{}"));
  ASSERT_TRUE(world.Until([&] { return !world.logic.asks.empty(); }));
  client.reset();
  ASSERT_TRUE(world.Until([&] { return world.closed(CloseReason::kPeer) == 1; }));
  Client next(world.tcp);  // takes over the slot
  ASSERT_TRUE(world.Until([&] { return world.sessions->connections().size() == 1; }));
  world.sessions->Answer(world.Welcome(world.logic.asks[0], "k"));
  ASSERT_EQ(world.logic.goodbyes.size(), 1u);
  EXPECT_EQ(world.logic.goodbyes[0].key(), "k");
  EXPECT_EQ(world.logic.goodbyes[0].generation(), 1u);
  EXPECT_EQ(world.sessions->hub().size(), 0u);
}

TEST(Auth, WaitsUntilTheJobsKnowTheRoom) {
  World world({}, {.join_wait = Duration(60'000)});
  const auto job = world.interest.AddJob([] {});
  encke::Interest told;
  ASSERT_TRUE(world.interest.Fill(job, &told));
  world.interest.Confirmed(job, told.number());

  Client client(world.tcp);
  client.Say(Packed(7, 1, "{}"));
  ASSERT_TRUE(world.Until([&] { return !world.logic.asks.empty(); }));
  world.sessions->Answer(world.Welcome(world.logic.asks[0], "k", "live://1"));
  for (int i = 0; i < 5; ++i)
    world.Turn();
  EXPECT_EQ(client.Hear(), "");
  EXPECT_EQ(world.sessions->hub().size(), 0u) << "nobody can find it before it was answered";
  told.Clear();
  ASSERT_TRUE(world.interest.Fill(job, &told));
  EXPECT_EQ(told.joined(0), "live://1");
  world.interest.Confirmed(job, told.number());
  EXPECT_TRUE(world.Hears(client, Packed(8, 1, {})));
  EXPECT_EQ(world.sessions->hub().MembersHere("live://1"), 1u);
  world.interest.RemoveJob(job);
}

TEST(Auth, WhoLeavesWhileTheRoomIsMadeKnownIsGoodbyed) {
  World world({}, {.join_wait = Duration(60'000)});
  const auto job = world.interest.AddJob([] {});
  auto client = std::make_unique<Client>(world.tcp);
  client->Say(Packed(7, 1, "{}"));
  ASSERT_TRUE(world.Until([&] { return !world.logic.asks.empty(); }));
  world.sessions->Answer(world.Welcome(world.logic.asks[0], "k", "live://1"));
  client.reset();
  EXPECT_TRUE(world.Until([&] { return world.logic.goodbyes.size() == 1; }));
  EXPECT_EQ(world.logic.goodbyes[0].key(), "k");
  world.interest.RemoveJob(job);
}

TEST(SameKey, TheNewerLoginStays) {
  World world;
  auto older = world.Tcp("k");
  auto newer = world.Tcp("k");
  ASSERT_TRUE(older && newer);
  EXPECT_TRUE(world.Closes(*older));
  EXPECT_EQ(older->Take(), "");
  ASSERT_TRUE(world.Until([&] { return world.logic.goodbyes.size() == 1; }));
  EXPECT_EQ(world.logic.goodbyes[0].generation(), 1u)
      << "the older one's, so logic keeps the newer";
  EXPECT_EQ(world.directory.Find("k").size(), 1u);
  newer->Say(Packed(2, 5, {}));
  EXPECT_TRUE(world.Hears(*newer, Packed(3, 5, Hex("00000000"))));
}

TEST(SameKey, TheOlderLoginYieldsEvenWhenAdmittedLast) {
  World world;
  world.generation = 10;
  auto newer = world.Tcp("k");
  ASSERT_TRUE(newer);
  world.generation = 3;
  auto older = world.Tcp("k");
  ASSERT_TRUE(older);
  EXPECT_TRUE(world.Closes(*older));
  EXPECT_FALSE(newer->Closed());
  EXPECT_EQ(world.sessions->hub().size(), 1u);
}

TEST(Ops, EchoHeartbeatAndUnknown) {
  World world;
  auto client = world.Tcp("k", "test://1");
  ASSERT_TRUE(client);
  client->Say(Hex("00000010 0010 0001 00000002 00000001"));
  EXPECT_TRUE(world.Hears(*client, Hex("00000014 0010 0001 00000003 00000001 00000001")));
  world.census.Add("test://1", 1);
  world.census.SetTotal("test://1", 2);
  client->Say(Hex("00000010 0010 0001 00000002 00000001"));
  EXPECT_TRUE(world.Hears(*client, Hex("00000014 0010 0001 00000003 00000001 00000002")));
  client->Say(Packed(14, 2, "1000,1001") + Packed(14, 3, "2000, 2001") + Packed(16, 4, "1000"));
  EXPECT_TRUE(world.Hears(
      *client, Packed(15, 2, "1000,1001") + Packed(15, 3, "2000, 2001") + Packed(17, 4, "1000")));
  for (const std::int32_t op : {0, 4, 5, 7, 8, -5, 123456}) {
    client->Say(Packed(op, 11, "body", 3));
    EXPECT_TRUE(world.Hears(*client, Packed(op, 11, {}, 3))) << op;
  }
  ASSERT_EQ(world.logic.packages.size(), 7u);
  const Upstream& last = world.logic.packages.back();
  EXPECT_EQ(last.key() + " " + last.room() + " " + last.body(), "k test://1 body");
  EXPECT_EQ(last.mid(), 7);
  EXPECT_EQ(last.op(), 123456);
}

TEST(Ops, AnUpstreamPackageNobodyTakesIsAnsweredAndCounted) {
  World world;
  auto client = world.Tcp("k");
  ASSERT_TRUE(client);
  world.logic.full = true;
  client->Say(Packed(4, 1, "x"));
  EXPECT_TRUE(world.Hears(*client, Packed(4, 1, {})));
  EXPECT_EQ(world.sessions->stats().upstream_dropped.value(), 1u);
}

TEST(Ops, ChangeRoomMovesAndLeaves) {
  World world;
  auto client = world.Tcp("k", "a");
  ASSERT_TRUE(client);
  client->Say(Packed(12, 1, "b") + Packed(2, 2, {}) + Packed(12, 3, {}) + Packed(2, 4, {}));
  EXPECT_TRUE(world.Hears(*client, Packed(13, 1, "b") + Packed(3, 2, Hex("00000001")) +
                                       Packed(13, 3, {}) + Packed(3, 4, Hex("00000000"))));
  EXPECT_EQ(world.sessions->hub().rooms(), 0u);
}

TEST(Ops, AThousandPipelinedRequestsAreAnswered) {
  World world;
  auto client = world.Tcp("k", "a");
  ASSERT_TRUE(client);
  std::string asked, answered;
  for (int i = 0; i < 1000; ++i) {
    asked += Packed(2, i, {});
    answered += Packed(3, i, Hex("00000001"));
  }
  client->Say(asked);
  EXPECT_TRUE(world.Hears(*client, answered));
}

TEST(Ops, AClientThatReadsNothingIsNotReadButLosesNoReply) {
  ShardOptions options;
  options.net.sndbuf_bytes = 8192;
  World world(options);
  auto client = world.Tcp("k", "a");
  ASSERT_TRUE(client);
  std::string asked, answered;
  for (int i = 0; i < 2000; ++i) {
    asked += Packed(14, i, std::string(2000, '7'));
    answered += Packed(15, i, std::string(2000, '7'));
  }
  client->Say(asked);
  for (int i = 0; i < 20; ++i)
    world.Turn();
  EXPECT_TRUE(world.Hears(*client, answered));
}

TEST(Framing, WhatGoimTakesAndWhatItCloses) {
  World world;
  auto lenient = world.Tcp("a");
  ASSERT_TRUE(lenient);
  lenient->Say(Hex("00000000 0010 0001 00000002 00000001") +
               Hex("ffffffff 0010 0001 00000002 00000002") + Packed(14, 3, std::string(4096, 'x')));
  EXPECT_TRUE(world.Hears(*lenient, Packed(3, 1, Hex("00000000")) + Packed(3, 2, Hex("00000000")) +
                                        Packed(15, 3, std::string(4096, 'x'))));
  auto long_one = world.Tcp("b");
  ASSERT_TRUE(long_one);
  long_one->Say(Packed(14, 3, std::string(4097, 'x')));
  EXPECT_TRUE(world.Closes(*long_one));
  EXPECT_EQ(world.closed(CloseReason::kBodyTooLong), 1u);
  auto crooked = world.Tcp("c");
  ASSERT_TRUE(crooked);
  crooked->Say(Packed(2, 1, {}) + Hex("00000010 0011 0001 00000002 00000001"));
  EXPECT_TRUE(world.Closes(*crooked));
  EXPECT_EQ(crooked->Take(), Packed(3, 1, Hex("00000000"))) << "what came before is answered";
  crooked->Hang();
  EXPECT_TRUE(world.Until([&] { return world.closed(CloseReason::kBadPackage) == 1; }));
}

TEST(Heartbeat, OnlyOp2KeepsTheSessionAlive) {
  World world;
  Client client(world.tcp);
  client.Say(Packed(7, 1, "{}"));
  ASSERT_TRUE(world.Until([&] { return !world.logic.asks.empty(); }));
  ConnectReply reply = world.Welcome(world.logic.asks[0], "k");
  reply.set_heartbeat_ms(1);  // held to the least, a second
  world.sessions->Answer(reply);
  ASSERT_TRUE(world.Hears(client, Packed(8, 1, {})));
  EXPECT_TRUE(world.Until([&] {
    client.Say(Packed(4, 1, {}));
    return client.Closed();
  }));
  EXPECT_EQ(world.closed(CloseReason::kHeartbeatTimeout), 1u);
  EXPECT_EQ(world.logic.goodbyes.size(), 1u);
}

TEST(Heartbeat, RenewsWhenItIsTime) {
  ShardOptions options;
  options.session.renew_interval = Duration(1);
  World world(options);
  auto client = world.Tcp("k");
  ASSERT_TRUE(client);
  EXPECT_TRUE(world.Until([&] {
    client->Say(Packed(2, 1, {}));
    return !world.logic.renewals.empty();
  }));
  EXPECT_EQ(world.logic.renewals[0].key(), "k");
  EXPECT_EQ(world.logic.renewals[0].mid(), 7);
  EXPECT_EQ(world.logic.renewals[0].generation(), 1u);
}

TEST(Pushes, ReachTheRoomUnwrapped) {
  World world;
  auto client = world.Tcp("k", "a");
  ASSERT_TRUE(client);
  world.PushRoom("a", 1000, "hi");
  EXPECT_TRUE(world.Hears(*client, Hex("00000012 0010 0001 000003e8 00000000 6869")));
}

TEST(Pushes, ASlowClientLosesThemCountedAndIsClosedAtLast) {
  ShardOptions options;
  options.net.sndbuf_bytes = 8192;
  options.session.slow_timeout = Duration(100);
  World world(options);
  auto slow = world.Tcp("slow", "a", 4096);
  auto quick = world.Tcp("quick", "a");
  ASSERT_TRUE(slow && quick);
  const std::string body(32 * 1024, 'x');
  std::size_t pushed = 0;
  while (world.closed(CloseReason::kSlow) == 0 && pushed < 1'000'000'000) {
    world.PushRoom("a", 1000, body);
    pushed += body.size() + 16;
    ASSERT_TRUE(world.Until([&] { return quick->Hear().size() == pushed; }));
    world.Turn();
  }
  EXPECT_GT(world.sessions->stats().dropped_slow[0].value(), 0u);
  EXPECT_EQ(world.closed(CloseReason::kSlow), 1u);
  EXPECT_TRUE(world.Closes(*slow));
  EXPECT_FALSE(quick->Closed());
}

TEST(Goodbye, LeavesNothingBehind) {
  World world;
  auto client = world.Tcp("k", "a");
  ASSERT_TRUE(client);
  client.reset();
  ASSERT_TRUE(world.Until([&] { return world.logic.goodbyes.size() == 1; }));
  EXPECT_EQ(world.logic.goodbyes[0].key(), "k");
  EXPECT_EQ(world.logic.goodbyes[0].generation(), 1u);
  EXPECT_EQ(world.directory.size(), 0u);
  EXPECT_EQ(world.addresses.distinct(), 0u);
  EXPECT_EQ(world.sessions->hub().size(), 0u);
  EXPECT_EQ(world.sessions->hub().rooms(), 0u);
  EXPECT_EQ(world.sessions->stats().open[0].value(), 0);
}

TEST(Announce, RenewsEverybody) {
  World world;
  auto a = world.Tcp("a"), b = world.Ws("b");
  ASSERT_TRUE(a && b);
  world.logic.full = true;
  world.sessions->Announce();
  for (int i = 0; i < 5; ++i)
    world.Turn();
  EXPECT_TRUE(world.logic.renewals.empty());
  world.logic.full = false;  // what was not taken is offered again
  EXPECT_TRUE(world.Until([&] { return world.logic.renewals.size() == 2; }));
}

TEST(Drain, ClosesEverybodyWithAWordForWebSockets) {
  World world;
  auto tcp = world.Tcp("a"), ws = world.Ws("b");
  ASSERT_TRUE(tcp && ws);
  world.sessions->Drain();
  EXPECT_TRUE(world.Closes(*tcp));
  EXPECT_EQ(tcp->Take(), "");
  EXPECT_TRUE(world.Closes(*ws));
  std::string close;
  wire::AppendWsClose(&close, wire::kWsGoingAway, "server is going away");
  EXPECT_EQ(ws->Take(), close);
  tcp.reset();
  ws.reset();
  EXPECT_TRUE(world.Until([&] { return world.logic.goodbyes.size() == 2; }));
}

TEST(Counts, GoToTheCensusAsDifferences) {
  ShardOptions options;
  options.session.report_interval = Duration(1);
  World world(options);
  auto a = world.Tcp("a", "room"), b = world.Tcp("b", "room");
  ASSERT_TRUE(a && b);
  EXPECT_TRUE(world.Until([&] { return world.census.Online("room") == 2; }));
  a->Say(Packed(12, 1, "other"));
  EXPECT_TRUE(world.Until(
      [&] { return world.census.Online("room") == 1 && world.census.Online("other") == 1; }));
  b.reset();
  EXPECT_TRUE(world.Until([&] { return world.census.Online("room") == 0; }));
}

}  // namespace
}  // namespace encke::session

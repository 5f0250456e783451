#include "job/router.h"

#include <atomic>
#include <map>
#include <numeric>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "unit/job/fakes.h"

namespace encke::job {
namespace {

Instance Comet(const std::string& id, std::int64_t connections = 0) {
  Instance out;
  out.set_kind("comet");
  out.set_id(id);
  out.set_grpc(id + ":9");
  out.set_conn_count(connections);
  return out;
}

class RouterTest : public testing::Test {
 protected:
  explicit RouterTest(const LinkOptions& options = {})
      : router("job7", options, world.ports(), stats) {}
  ~RouterTest() override {
    router.SetComets({});
    for (auto& stream : world.streams) {
      if (auto user = std::exchange(stream->user, nullptr)) user->OnClosed("test is over");
    }
  }
  bool Route(const SharedMessage& message) { return router.Route(message, never); }
  rpc::PushClientUser& User(const std::string& comet) {
    for (auto& stream : world.streams) {
      if (stream->address == comet + ":9" && stream->user) return *stream->user;
    }
    throw std::runtime_error("no stream to " + comet);
  }
  void Hello(const std::string& comet, const std::vector<std::string>& rooms) {
    PushUp up;
    up.set_comet(comet);
    up.set_boot(1);
    up.mutable_interest()->set_snapshot(true);
    for (const auto& room : rooms)
      up.mutable_interest()->add_joined(room);
    User(comet).OnMessage(up);
  }
  PushDown Receive(const std::string& comet) {
    PushDown down;
    User(comet).Fill(&down);
    return down;
  }
  void Ack(const std::string& comet, std::uint64_t seq) {
    PushUp up;
    up.add_acks()->set_seq(seq);
    up.mutable_acks(0)->set_fence(1);
    User(comet).OnMessage(up);
  }

  FakeWorld world;
  Stats stats;
  std::atomic<bool> never{false};
  Router router;
};

TEST_F(RouterTest, ARoomGoesToCometsThatHaveItOrAreUnknown) {
  router.SetComets({Comet("c1"), Comet("c2"), Comet("c3")});
  Hello("c1", {"a"});
  Hello("c2", {"b"});
  EXPECT_TRUE(Route(RoomMessage(1, "a")));
  EXPECT_EQ(Text(Receive("c1")), "p0f1: 1");
  EXPECT_EQ(Text(Receive("c2")), "");
  Hello("c3", {"a"});
  EXPECT_EQ(Text(Receive("c3")), "p0f1: 1");
}

TEST_F(RouterTest, APushGoesToTheCometNamed) {
  router.SetComets({Comet("c1"), Comet("c2")});
  Hello("c1", {});
  Hello("c2", {});
  EXPECT_TRUE(Route(PushTo(1, "c2")));
  EXPECT_EQ(Text(Receive("c1")), "");
  EXPECT_EQ(Text(Receive("c2")), "p0f1: 1");
  EXPECT_EQ(stats.pushes.value(), 1U);
}

TEST_F(RouterTest, APushToNobodyIsCountedAndHoldsNothingBack) {
  router.SetComets({Comet("c1")});
  EXPECT_TRUE(Route(PushTo(1, "who")));
  EXPECT_EQ(stats.unroutable.value(), 1U);
  EXPECT_EQ(router.Oldest(0), std::nullopt);
}

TEST_F(RouterTest, ABroadcastGoesToAllAndItsSpeedIsShared) {
  std::vector<Instance> comets = {Comet("c1", 99), Comet("c2", 299)};
  router.SetComets(comets);
  router.CountBy([&] { return comets; });
  Hello("c1", {});
  Hello("c2", {});
  EXPECT_TRUE(Route(Broadcast(1)));
  EXPECT_TRUE(Route(Broadcast(2, /*speed=*/1000)));
  const PushDown one = Receive("c1");
  const PushDown two = Receive("c2");
  EXPECT_EQ(one.batches(0).entries(0).rate(), 0);
  EXPECT_DOUBLE_EQ(one.batches(0).entries(1).rate(), 250);
  EXPECT_DOUBLE_EQ(two.batches(0).entries(1).rate(), 750);
}

TEST(Shares, AddUpToTheSpeedAndNobodyGetsNone) {
  EXPECT_EQ(Shares(90, {0, 0, 0}), (std::vector<double>{30, 30, 30}));
  EXPECT_TRUE(Shares(90, {}).empty());
  const auto shares = Shares(500, {0, 1'000'000, 3});
  EXPECT_NEAR(std::accumulate(shares.begin(), shares.end(), 0.0), 500, 1e-9);
  for (const double share : shares)
    EXPECT_GT(share, 0);  // 0 would mean no limit
}

TEST_F(RouterTest, TheOldestIsThatOfTheSlowestComet) {
  router.SetComets({Comet("c1"), Comet("c2")});
  Hello("c1", {"a"});
  Hello("c2", {"a"});
  for (const std::uint64_t seq : {4, 5, 6})
    Route(RoomMessage(seq, "a"));
  Receive("c1");
  Receive("c2");
  EXPECT_EQ(router.Oldest(0), 4U);
  Ack("c1", 6);
  EXPECT_EQ(router.Oldest(0), 4U);
  Ack("c2", 5);
  EXPECT_EQ(router.Oldest(0), 6U);
  EXPECT_FALSE(router.idle());
  Ack("c2", 6);
  EXPECT_EQ(router.Oldest(0), std::nullopt);
  EXPECT_TRUE(router.idle());
}

TEST_F(RouterTest, ACometThatLeavesTheRegistryHoldsNothingBack) {
  router.SetComets({Comet("c1"), Comet("c2")});
  Hello("c1", {});
  Hello("c2", {});
  Route(PushTo(1, "c2"));
  EXPECT_EQ(router.Oldest(0), 1U);
  router.SetComets({Comet("c1")});
  router.Tend();
  EXPECT_EQ(router.Oldest(0), 1U);  // its stream is up: it is only the registry that misses it
  std::exchange(world.streams[1]->user, nullptr)->OnClosed("gone");
  router.Tend();
  EXPECT_EQ(router.Oldest(0), std::nullopt);
  EXPECT_EQ(stats.undeliverable.value(), 1U);
  EXPECT_EQ(router.views().size(), 1U);
}

TEST_F(RouterTest, TheSameCometKeepsItsLink) {
  router.SetComets({Comet("c1")});
  router.SetComets({Comet("c1", 5), Comet("c2")});
  EXPECT_EQ(world.streams.size(), 2U);
}

TEST_F(RouterTest, ForgetDropsAPartitionEverywhere) {
  router.SetComets({Comet("c1"), Comet("c2")});
  Route(Broadcast(1));
  router.Forget(0);
  EXPECT_EQ(router.Oldest(0), std::nullopt);
  EXPECT_EQ(stats.fenced.value(), 2U);
}

class FullRouterTest : public RouterTest {
 protected:
  FullRouterTest() : RouterTest({.queue_bytes_max = 100}) {
    router.SetComets({Comet("c1"), Comet("c2")});
    Hello("c1", {});
    Hello("c2", {});
  }
};

TEST_F(FullRouterTest, AFullQueueDelaysNobodyElseAndWaitingCanBeCancelled) {
  ASSERT_TRUE(Route(PushTo(1, "c1")));
  std::atomic<bool> cancel{true};
  EXPECT_FALSE(router.Route(Broadcast(2), cancel));
  EXPECT_EQ(Text(Receive("c1")), "p0f1: 1");
  EXPECT_EQ(Text(Receive("c2")), "p0f1: 2");
}

TEST_F(FullRouterTest, RoutingGoesOnWhenTheQueueHasRoom) {
  ASSERT_TRUE(Route(PushTo(1, "c1")));
  Receive("c1");
  std::thread waiting([this] { EXPECT_TRUE(Route(PushTo(2, "c1"))); });
  Ack("c1", 1);
  waiting.join();
  EXPECT_EQ(Text(Receive("c1")), "p0f1: 2");
}

}  // namespace
}  // namespace encke::job

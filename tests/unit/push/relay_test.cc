#include "push/relay.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace encke::push {
namespace {

using store::Place;

Place At(const std::string& key, const std::string& comet) {
  Place place;
  place.key = Key(key);
  place.server = ServerId(comet);
  return place;
}

// Answers lookups with `places`; writes down every entry and keeps its `done` for later.
class RelayTest : public ::testing::Test {
 protected:
  using Done = std::function<void(Result<std::uint64_t>)>;

  RelayPorts Ports() {
    RelayPorts ports;
    ports.find_keys = [this](const std::vector<Key>&, auto done) { done(places); };
    ports.find_mids = [this](const std::vector<Mid>&, auto done) { done(places); };
    ports.publish = [this](int partition, const std::string& id, const std::string& payload,
                           Done done) {
      ids.insert(id);
      partitions.push_back(partition);
      bus::EachPush(1, payload, [this](std::uint64_t, std::string_view one) { Write(one); });
      waiting.push_back(std::move(done));
    };
    ports.partitions = 16;
    return ports;
  }
  void Write(std::string_view payload) {
    PushMsg message;
    ASSERT_TRUE(message.ParseFromArray(payload.data(), static_cast<int>(payload.size())));
    EXPECT_FALSE(message.id().empty());
    EXPECT_GT(message.accepted_us(), 0);
    log +=
        fmt::format("{} op={} server={} room={} keys={} speed={} msg={}\n",
                    PushMsg::Type_Name(message.type()), message.operation(), message.server(),
                    message.room(), fmt::join(message.keys(), ","), message.speed(), message.msg());
  }
  Relay::OnStored Note() {
    return [this](const Status& stored) {
      ++answers;
      outcome = stored ? "ok" : stored.error().text;
    };
  }
  void StoreAll() {
    for (const Done& done : std::exchange(waiting, {})) {
      done(std::uint64_t{1});
    }
  }

  Result<std::vector<Place>> places{std::vector<Place>()};
  std::string log;
  std::set<std::string> ids;
  std::vector<int> partitions;
  std::vector<Done> waiting;
  int answers = 0;
  std::string outcome;
  Relay relay{Ports()};
};

Push ToRoom(const std::string& room, const std::string& body) {
  Push push;
  push.to = To::kRooms;
  push.rooms = {RoomId(room)};
  push.op = 1000;
  push.body = body;
  return push;
}

TEST(Batch, SharesEntriesByPartitionAndKeepsTheOrder) {
  std::vector<std::pair<std::string, std::function<void(Result<std::uint64_t>)>>> published;
  std::set<std::string> ids;
  RelayPorts ports;
  ports.publish = [&](int, const std::string& id, std::string payload, auto done) {
    ids.insert(id);
    published.emplace_back(std::move(payload), std::move(done));
  };
  ports.partitions = 1;
  Relay relay(std::move(ports));
  std::map<std::size_t, bool> answers;
  const auto note = [&](std::size_t i, const Result<Accepted>& accepted) {
    EXPECT_TRUE(answers.emplace(i, static_cast<bool>(accepted)).second);
  };
  relay.AcceptAll({ToRoom("live://1", "a"), ToRoom("live://2", "b"), ToRoom("live://1", "c")},
                  note);
  ASSERT_EQ(published.size(), 1U);
  std::string bodies;
  bus::EachPush(1, published[0].first, [&](std::uint64_t, std::string_view payload) {
    PushMsg push;
    ASSERT_TRUE(push.ParseFromArray(payload.data(), static_cast<int>(payload.size())));
    EXPECT_FALSE(push.id().empty());
    bodies += push.room() + "=" + push.msg() + " ";
  });
  EXPECT_EQ(bodies, "live://1=a live://2=b live://1=c ");
  EXPECT_TRUE(answers.empty());  // not before it is stored
  published[0].second(std::uint64_t{1});
  EXPECT_EQ(answers, (std::map<std::size_t, bool>{{0, true}, {1, true}, {2, true}}));
  EXPECT_EQ(relay.counts().room.value(), 3U);

  published.clear();
  answers.clear();
  relay.AcceptAll({ToRoom("live://1", "a"), ToRoom("live://2", "b")}, note);
  published.at(0).second(Error{Errc::kUnavailable, "full"});
  EXPECT_EQ(answers, (std::map<std::size_t, bool>{{0, false}, {1, false}}));

  published.clear();
  Push named = ToRoom("live://1", "a");
  named.id = "mine";
  relay.AcceptAll({named, ToRoom("live://1", "b")}, [](std::size_t, const auto&) {});
  ASSERT_EQ(published.size(), 1U);
  EXPECT_TRUE(ids.contains("mine"));  // by itself: a retry must find it
  const auto stored = std::move(published.front().second);
  stored(std::uint64_t{1});
  EXPECT_EQ(published.size(), 2U);
}

TEST_F(RelayTest, KeysGoToTheirCometsInOrderWithRepeats) {
  places = std::vector<Place>{At("k1", "c1"), At("k2", "c2"), At("k3", "c1"), At("k9", "")};
  relay.PushKeys(1000, {Key("k3"), Key("k2"), Key("gone"), Key("k1"), Key("k3"), Key("k9")}, "hi",
                 Note());
  EXPECT_EQ(log,
            "PUSH op=1000 server=c1 room= keys=k3,k1,k3 speed=0 msg=hi\n"
            "PUSH op=1000 server=c2 room= keys=k2 speed=0 msg=hi\n");
  EXPECT_EQ(partitions, (std::vector<int>{bus::PartitionOf("c1", 16), bus::PartitionOf("c2", 16)}));
  EXPECT_EQ(ids.size(), 2U);
  EXPECT_EQ(relay.counts().unrouted.value(), 2U);
  StoreAll();
  EXPECT_EQ(outcome, "ok");
  EXPECT_EQ(relay.counts().keys.value(), 1U);
}

TEST_F(RelayTest, AKeyUnderTwoMidsGetsItOnce) {
  places = std::vector<Place>{At("k1", "c1"), At("k2", "c1"), At("k1", "c1"), At("k3", "c2")};
  relay.PushMids(5, {Mid(1), Mid(2)}, "m", Note());
  EXPECT_EQ(log,
            "PUSH op=5 server=c1 room= keys=k1,k2 speed=0 msg=m\n"
            "PUSH op=5 server=c2 room= keys=k3 speed=0 msg=m\n");
  StoreAll();
  EXPECT_EQ(relay.counts().mids.value(), 1U);
  EXPECT_EQ(relay.counts().unrouted.value(), 0U);
}

TEST_F(RelayTest, NobodyThereIsOkAndCounted) {
  relay.PushMids(5, {Mid(1), Mid(2), Mid(3)}, "m", Note());
  EXPECT_EQ(outcome, "ok");
  relay.PushKeys(5, {Key("a")}, "m", Note());
  EXPECT_EQ(outcome, "ok");
  EXPECT_EQ(log, "");
  EXPECT_EQ(relay.counts().unrouted.value(), 4U);
}

TEST_F(RelayTest, RoomsHaveOnePartitionAndBroadcastsTheFirst) {
  relay.PushRoom(7, RoomId("live://1000"), std::string("\0\xff", 2), Note());
  relay.PushAll(8, 100, "all", Note());
  EXPECT_EQ(log, std::string("ROOM op=7 server= room=live://1000 keys= speed=0 msg=\0\xff\n", 56) +
                     "BROADCAST op=8 server= room= keys= speed=100 msg=all\n");
  EXPECT_EQ(partitions, (std::vector<int>{bus::PartitionOf("live://1000", 16), 0}));
  EXPECT_EQ(ids.size(), 2U);
  EXPECT_EQ(answers, 0);
  StoreAll();
  EXPECT_EQ(answers, 2);
  EXPECT_EQ(relay.counts().room.value(), 1U);
  EXPECT_EQ(relay.counts().all.value(), 1U);
}

TEST_F(RelayTest, AnswersOnceAfterTheLastEntryWithTheFirstError) {
  places = std::vector<Place>{At("a", "c1"), At("b", "c2"), At("c", "c3")};
  relay.PushKeys(1, {Key("a"), Key("b"), Key("c")}, "x", Note());
  ASSERT_EQ(waiting.size(), 3U);
  waiting[1](Error{Errc::kTimeout, "first"});
  waiting[0](Error{Errc::kOverloaded, "second"});
  EXPECT_EQ(answers, 0);
  waiting[2](std::uint64_t{9});
  EXPECT_EQ(answers, 1);
  EXPECT_EQ(outcome, "first");
  EXPECT_EQ(relay.counts().failed.value(), 1U);
  EXPECT_EQ(relay.counts().keys.value(), 0U);
}

TEST_F(RelayTest, ALookupThatFailsStoresNothing) {
  places = Error{Errc::kUnavailable, "redis is away"};
  relay.PushKeys(1, {Key("a")}, "x", Note());
  EXPECT_EQ(outcome, "redis is away");
  relay.PushMids(1, {Mid(1)}, "x", Note());
  EXPECT_EQ(answers, 2);
  EXPECT_EQ(log, "");
  EXPECT_EQ(relay.counts().failed.value(), 2U);
}

TEST_F(RelayTest, PushesOfOneCallerKeepTheirOrder) {
  places = std::vector<Place>{At("k", "c1")};
  std::string want;
  for (int i = 0; i < 200; ++i) {
    relay.PushMids(1, {Mid(1)}, fmt::format("{}", i), Note());
    want += fmt::format("PUSH op=1 server=c1 room= keys=k speed=0 msg={}\n", i);
  }
  EXPECT_EQ(ids.size(), 1U);  // the others wait for the answer
  StoreAll();
  EXPECT_EQ(ids.size(), 2U);  // and leave together
  StoreAll();
  EXPECT_EQ(answers, 200);
  EXPECT_EQ(log, want);
}

}  // namespace
}  // namespace encke::push

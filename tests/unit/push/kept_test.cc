// Pushes that go into timelines.
#include <deque>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "push/relay.h"

namespace encke::push {
namespace {

using store::Timelines;

// Everything that happens is a line; what was asked of Redis is answered when the test says so.
class KeptTest : public ::testing::Test {
 protected:
  RelayPorts Ports() {
    RelayPorts ports;
    ports.find_mids = [this](const std::vector<Mid>&, auto done) {
      story += "find\n";
      done(places);
    };
    ports.find_keys = [this](const std::vector<Key>&, auto done) { done(places); };
    ports.publish = [this](int, const std::string& id, const std::string& payload, auto done) {
      PushMsg m;
      ASSERT_TRUE(m.ParseFromString(payload));
      story += fmt::format("publish {} {} {}{} mid={} keys={} #{}/{}\n",
                           PushMsg::Type_Name(m.type()), m.msg(), m.room(), m.server(), m.mid(),
                           fmt::join(m.keys(), ","), m.epoch(), m.seq());
      ids.push_back(id);
      last = m;
      done(std::uint64_t{1});
    };
    ports.append = [this](Timelines::Entry entry, RelayPorts::OnAppended done) {
      PushMsg m;
      ASSERT_TRUE(m.ParseFromString(entry.payload));
      EXPECT_EQ(m.id(), entry.id);
      EXPECT_EQ(m.keys_size(), 0);
      EXPECT_EQ(m.server(), "");
      story += fmt::format("append {} {} mid={} max={}{}\n", entry.name, m.msg(), m.mid(),
                           entry.limits.messages, entry.retry ? " again" : "");
      appends.push_back(std::move(done));
    };
    ports.plan.types["live"].hot.messages = 200;
    ports.plan.inbox.hot.messages = 50;
    return ports;
  }
  static store::Place At(std::int64_t mid, const std::string& key, const std::string& comet) {
    store::Place place;
    place.mid = Mid(mid);
    place.key = Key(key);
    place.server = ServerId(comet);
    return place;
  }
  void Answer(const Result<Timelines::Appended>& appended) {
    auto done = std::move(appends.front());
    appends.pop_front();
    done(appended);
  }
  static Timelines::Appended Number(std::uint64_t seq) { return {9, seq, 5, false}; }
  OnAccepted Note() {
    return [this](Result<Accepted> accepted) { answers.push_back(std::move(accepted)); };
  }
  static Push ToRooms(std::vector<RoomId> rooms) {
    Push push;
    push.to = To::kRooms;
    push.rooms = std::move(rooms);
    push.body = "hi";
    return push;
  }
  static Push Kept(std::vector<Mid> mids) {
    Push push;
    push.to = To::kMids;
    push.mids = std::move(mids);
    push.keep = true;
    push.body = "hi";
    return push;
  }

  Result<std::vector<store::Place>> places{std::vector<store::Place>()};
  std::string story;
  std::vector<std::string> ids;
  PushMsg last;
  std::deque<RelayPorts::OnAppended> appends;
  std::vector<Result<Accepted>> answers;
  Relay relay{Ports()};
};

TEST_F(KeptTest, ARoomWithHistoryIsNumberedBeforeItIsPublished) {
  relay.PushRoom(7, RoomId("live://1"), "goim", [](const Status&) {});
  EXPECT_EQ(story, "append live://1 goim mid=0 max=200\n");
  Answer(Number(3));
  EXPECT_EQ(story,
            "append live://1 goim mid=0 max=200\n"
            "publish ROOM goim live://1 mid=0 keys= #9/3\n");
}

TEST_F(KeptTest, EachRoomHasItsOwnTimelineAndTheOthersNone) {
  relay.Accept(ToRooms({RoomId("live://1"), RoomId("plain://1"), RoomId("live://2")}), Note());
  Answer(Number(3));
  EXPECT_TRUE(answers.empty());
  Answer(Number(8));
  EXPECT_EQ(story,
            "append live://1 hi mid=0 max=200\n"
            "publish ROOM hi plain://1 mid=0 keys= #0/0\n"
            "append live://2 hi mid=0 max=200\n"
            "publish ROOM hi live://1 mid=0 keys= #9/3\n"
            "publish ROOM hi live://2 mid=0 keys= #9/8\n");
  ASSERT_EQ(answers.size(), 1u);
  ASSERT_EQ(answers[0]->places.size(), 2u);
  EXPECT_EQ(answers[0]->places[1].timeline, "live://2");
  EXPECT_EQ(answers[0]->places[1].seq, 8u);
  EXPECT_EQ(std::set<std::string>(ids.begin(), ids.end()).size(), 3u);
}

TEST_F(KeptTest, InboxesFirstThenWhoIsHere) {
  places = std::vector<store::Place>{At(1, "k1", "c1"), At(2, "k2", "c1"), At(1, "k3", "c2")};
  relay.Accept(Kept({Mid(1), Mid(2), Mid(3)}), Note());
  Answer(Number(4));
  Answer(Number(5));
  EXPECT_EQ(story.find("find"), std::string::npos);
  Answer(Number(6));
  EXPECT_EQ(story,
            "append user://1 hi mid=1 max=50\n"
            "append user://2 hi mid=2 max=50\n"
            "append user://3 hi mid=3 max=50\n"
            "find\n"
            "publish PUSH hi c1 mid=1 keys=k1 #9/4\n"
            "publish PUSH hi c1 mid=2 keys=k2 #9/5\n"
            "publish PUSH hi c2 mid=1 keys=k3 #9/4\n");
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0]->places.size(), 3u);
}

TEST_F(KeptTest, AnAppendWithoutAnAnswerIsMadeAgainOnce) {
  relay.Accept(ToRooms({RoomId("live://1")}), Note());
  Answer(Error{Errc::kTimeout, "no answer"});
  EXPECT_NE(story.find("again"), std::string::npos);
  EXPECT_TRUE(answers.empty());
  Answer(Timelines::Appended{9, 3, 5, /*duplicate=*/true});
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_TRUE(answers[0]->duplicate);
  EXPECT_EQ(answers[0]->time_us, 5000);
  relay.Accept(ToRooms({RoomId("live://1")}), Note());
  Answer(Error{Errc::kUnavailable, "away"});
  Answer(Error{Errc::kUnavailable, "still away"});
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_EQ(answers[1].error().text, "still away");
  EXPECT_EQ(ids.size(), 1u);  // nothing is said that is not kept
  EXPECT_EQ(relay.counts().append_retried.value(), 2u);
}

TEST_F(KeptTest, AFailedInboxFailsThePush) {
  relay.Accept(Kept({Mid(1), Mid(2)}), Note());
  Answer(Number(4));
  Answer(Error{Errc::kOverloaded, "full"});
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].error().text, "full");
  EXPECT_TRUE(ids.empty());
}

TEST_F(KeptTest, ACallersIdIsLookedForAndNamesThePartsTheSame) {
  Push push = ToRooms({RoomId("live://1"), RoomId("live://2")});
  push.id = "k-order-7";
  push.again = true;
  for (int i = 0; i < 2; ++i) {
    relay.Accept(push, Note());
    Answer(Number(1));
    Answer(Number(1));
  }
  EXPECT_NE(story.find("append live://1 hi mid=0 max=200 again"), std::string::npos);
  ASSERT_EQ(ids.size(), 4u);
  EXPECT_EQ(ids[0], ids[2]);
  EXPECT_EQ(ids[1], ids[3]);
  EXPECT_NE(ids[0], ids[1]);
  EXPECT_EQ(answers[0]->id, "k-order-7");
}

TEST_F(KeptTest, WhatTheCallerSaidIsOnTheLog) {
  Push push = ToRooms({RoomId("plain://1")});
  push.op = 1001;
  push.exclude_keys = {"a"};
  push.exclude_mids = {7};
  push.exclude_platforms = {"web"};
  push.ttl_ms = 1000;
  push.report = true;
  push.conflate = "price";
  push.from_mid = 5;
  push.client_id = "c";
  relay.Accept(push, Note());
  EXPECT_EQ(last.operation(), 1001);
  EXPECT_EQ(last.exclude_keys(0), "a");
  EXPECT_EQ(last.exclude_mids(0), 7);
  EXPECT_EQ(last.exclude_platforms(0), "web");
  EXPECT_EQ(last.expires_us(), last.accepted_us() + 1'000'000);
  EXPECT_TRUE(last.report());
  EXPECT_EQ(last.conflate(), "price");
  EXPECT_EQ(last.from_mid(), 5);
  EXPECT_EQ(last.client_id(), "c");
}

TEST_F(KeptTest, CommandsAreNotKept) {
  places = std::vector<store::Place>{At(1, "k1", "c1")};
  Push kick = ToRooms({RoomId("live://1")});
  kick.what = What::kKick;
  relay.Accept(kick, Note());
  Push join;
  join.to = To::kMids;
  join.mids = {Mid(1)};
  join.what = What::kJoin;
  join.keep = true;
  join.room = RoomId("live://1");
  relay.Accept(join, Note());
  EXPECT_EQ(story,
            "publish KICK hi live://1 mid=0 keys= #0/0\n"
            "find\n"
            "publish JOIN  live://1c1 mid=0 keys=k1 #0/0\n");
}

}  // namespace
}  // namespace encke::push

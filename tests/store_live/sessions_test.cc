#include "store/sessions.h"

#include <algorithm>
#include <memory>

#include <gtest/gtest.h>

#include "support/await.h"
#include "support/redis_server.h"

namespace encke::store {
namespace {

using test::Await;
using test::RedisServer;

class SessionsLive : public ::testing::Test {
 protected:
  SessionsLive() : redis_(OptionsFor(server_)), sessions_(redis_, SessionsOptions{}) {}

  static RedisOptions OptionsFor(const RedisServer& server) {
    RedisOptions options;
    options.address = server.address();
    options.reconnect_max = Duration(100);
    return options;
  }

  Sessions::Arrival Arrive(std::int64_t mid, const char* key, const char* server) {
    Await<Result<Sessions::Arrival>> answer;
    sessions_.Arrive(Mid(mid), Key(key), ServerId(server), Sessions::Claim::kAny,
                     answer.Callback());
    return *answer.Get();
  }
  Status Renew(std::int64_t mid, const char* key, const char* server, std::uint64_t generation) {
    Await<Status> answer;
    sessions_.Renew(Mid(mid), Key(key), ServerId(server), generation, answer.Callback());
    return answer.Get();
  }
  void Depart(std::int64_t mid, const char* key, const char* server, std::uint64_t generation) {
    Await<Status> answer;
    sessions_.Depart(Mid(mid), Key(key), ServerId(server), generation, answer.Callback());
    EXPECT_TRUE(answer.Get());
  }
  // "k1@comet1 k2@" in the order asked for.
  std::string Keys(const std::vector<const char*>& names) {
    std::vector<Key> keys(names.begin(), names.end());
    Await<Result<std::vector<Place>>> answer;
    sessions_.FindKeys(keys, answer.Callback());
    return Tell(*answer.Get());
  }
  // The same for members, sorted.
  std::string Mids(const std::vector<std::int64_t>& numbers) {
    std::vector<Mid> mids(numbers.begin(), numbers.end());
    Await<Result<std::vector<Place>>> answer;
    sessions_.FindMids(mids, answer.Callback());
    std::vector<Place> places = *answer.Get();
    std::sort(places.begin(), places.end(),
              [](const Place& a, const Place& b) { return a.key < b.key; });
    return Tell(places);
  }
  static std::string Tell(const std::vector<Place>& places) {
    std::string story;
    for (const Place& place : places)
      story += (story.empty() ? "" : " ") + place.key.value() + "@" + place.server.value();
    return story;
  }
  Result<Reply> Ask(std::vector<std::string> arguments) {
    Await<Result<Reply>> answer;
    redis_.Call(std::move(arguments), answer.Callback());
    return answer.Get();
  }
  Result<Sessions::Memory> Memory() {
    for (int i = 0;; ++i) {
      Await<Result<Sessions::Memory>> answer;
      sessions_.CheckMemory(answer.Callback());
      auto memory = answer.Get();
      if (memory || i == 50) return memory;
    }
  }

  RedisServer server_;
  Redis redis_;
  Sessions sessions_;
};

TEST_F(SessionsLive, FindsWhatArrived) {
  Arrive(1, "k1", "comet1");
  Arrive(1, "k2", "comet2");
  Arrive(0, "anonymous", "comet1");
  EXPECT_EQ(Keys({"k2", "none", "k1", "k1", "anonymous"}),
            "k2@comet2 none@ k1@comet1 k1@comet1 anonymous@comet1");
  EXPECT_EQ(Mids({1, 1, 0, -5, 99}), "k1@comet1 k2@comet2");
  EXPECT_EQ(Ask({"EXISTS", "mid_0"})->integer, 0);
}

TEST_F(SessionsLive, EntriesEndByThemselves) {
  Arrive(1, "k1", "comet1");
  for (const char* name : {"key_k1", "mid_1"}) {
    const auto ttl = Ask({"PTTL", name})->integer;
    EXPECT_GT(ttl, 29 * 60'000);
    EXPECT_LE(ttl, 30 * 60'000);
  }
}

TEST_F(SessionsLive, GenerationsOnlyGrow) {
  std::uint64_t last = 0;
  for (int i = 0; i < 200; ++i) {
    const auto arrival = Arrive(1, "k", "comet1");
    EXPECT_GT(arrival.generation, last);
    if (i > 0) {
      EXPECT_EQ(arrival.before.generation, last);
    }
    last = arrival.generation;
  }
  // Also past an entry from the future (the clock was set back).
  const std::uint64_t future = last + 3'600'000'000;
  ASSERT_TRUE(Ask({"SET", "key_k", "comet1 " + std::to_string(future) + " 1"}));
  EXPECT_EQ(Arrive(1, "k", "comet2").generation, future + 1);
}

TEST_F(SessionsLive, AnOldGoodbyeCannotRemoveTheNewerLogin) {
  const auto old = Arrive(1, "k", "comet1");
  const auto fresh = Arrive(1, "k", "comet2");
  EXPECT_EQ(fresh.before.server.value(), "comet1");
  EXPECT_EQ(fresh.before.generation, old.generation);
  EXPECT_EQ(fresh.before.mid.value(), 1);
  Depart(1, "k", "comet1", old.generation);
  EXPECT_EQ(Keys({"k"}), "k@comet2");
  EXPECT_EQ(Mids({1}), "k@comet2");
  Depart(1, "k", "comet2", fresh.generation);
  EXPECT_EQ(Keys({"k"}), "k@");
  EXPECT_EQ(Mids({1}), "");
}

TEST_F(SessionsLive, TheSameHoldsOnOneComet) {
  const auto old = Arrive(1, "k", "comet1");
  Arrive(1, "k", "comet1");
  Depart(1, "k", "comet1", old.generation);
  EXPECT_EQ(Keys({"k"}), "k@comet1");
  EXPECT_EQ(Mids({1}), "k@comet1");
}

TEST_F(SessionsLive, AnOldRenewalCannotTakeTheKeyBack) {
  const auto old = Arrive(1, "k", "comet1");
  const auto fresh = Arrive(1, "k", "comet2");
  const Status refused = Renew(1, "k", "comet1", old.generation);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kConflict);
  EXPECT_EQ(Keys({"k"}), "k@comet2");
  EXPECT_EQ(Mids({1}), "k@comet2");
  EXPECT_TRUE(Renew(1, "k", "comet2", fresh.generation));
}

TEST_F(SessionsLive, RenewalsRepairALostMapInAnyOrder) {
  const auto old = Arrive(1, "k", "comet1");
  const auto fresh = Arrive(1, "k", "comet2");
  for (const bool old_first : {true, false}) {
    ASSERT_TRUE(Ask({"FLUSHALL"}));
    if (old_first) {
      EXPECT_TRUE(Renew(1, "k", "comet1", old.generation));
    }
    EXPECT_TRUE(Renew(1, "k", "comet2", fresh.generation));
    if (!old_first) {
      EXPECT_FALSE(Renew(1, "k", "comet1", old.generation));
    }
    EXPECT_EQ(Keys({"k"}), "k@comet2");
    EXPECT_EQ(Mids({1}), "k@comet2");
  }
}

TEST_F(SessionsLive, ARenewalArmsTheTtlAgain) {
  const auto arrival = Arrive(1, "k", "comet1");
  ASSERT_TRUE(Ask({"PEXPIRE", "key_k", "1000"}));
  ASSERT_TRUE(Ask({"PEXPIRE", "mid_1", "1000"}));
  ASSERT_TRUE(Renew(1, "k", "comet1", arrival.generation));
  EXPECT_GT(Ask({"PTTL", "key_k"})->integer, 1000);
  EXPECT_GT(Ask({"PTTL", "mid_1"})->integer, 1000);
}

TEST_F(SessionsLive, AKeyThatChangesItsMemberLeavesTheOldOne) {
  const auto first = Arrive(1, "k", "comet1");
  Arrive(2, "k", "comet1");
  EXPECT_EQ(Mids({1}), "");
  EXPECT_EQ(Mids({2}), "k@comet1");
  Depart(1, "k", "comet1", first.generation);
  EXPECT_EQ(Mids({1, 2}), "k@comet1");
}

TEST_F(SessionsLive, AClaimForOwnKeysTakesNobodyElses) {
  const auto claim = [&](std::int64_t mid, const char* key) {
    Await<Result<Sessions::Arrival>> answer;
    sessions_.Arrive(Mid(mid), Key(key), ServerId("comet2"), Sessions::Claim::kOwn,
                     answer.Callback());
    return answer.Get();
  };
  Arrive(1, "k", "comet1");
  Arrive(0, "nameless", "comet1");
  const auto thief = claim(2, "k");
  ASSERT_FALSE(thief);
  EXPECT_EQ(thief.error().code, Errc::kConflict);
  EXPECT_FALSE(claim(2, "nameless"));
  EXPECT_EQ(Mids({1}), "k@comet1");
  EXPECT_EQ(Mids({2}), "");
  EXPECT_TRUE(claim(2, "free"));
  EXPECT_TRUE(claim(1, "k"));  // from another place
  EXPECT_EQ(Mids({1}), "k@comet2");
}

TEST_F(SessionsLive, ForgetRemovesOnlyWhatWasSeen) {
  Arrive(1, "k", "dead");
  Await<Result<std::vector<Place>>> answer;
  sessions_.FindMids({Mid(1)}, answer.Callback());
  const Place seen = answer.Get()->at(0);
  Arrive(1, "k", "alive");
  sessions_.Forget(seen);
  EXPECT_EQ(Mids({1}), "k@alive");
  Arrive(2, "j", "dead");
  Await<Result<std::vector<Place>>> again;
  sessions_.FindKeys({Key("j")}, again.Callback());
  sessions_.Forget(again.Get()->at(0));
  EXPECT_EQ(Keys({"j"}), "j@");
  EXPECT_EQ(Mids({2}), "");
}

TEST_F(SessionsLive, ReadsAndReplacesEntriesAsGoimWritesThem) {
  ASSERT_TRUE(Ask({"SET", "key_g", "comet9"}));
  ASSERT_TRUE(Ask({"HSET", "mid_7", "g", "comet9"}));
  EXPECT_EQ(Keys({"g"}), "g@comet9");
  EXPECT_EQ(Mids({7}), "g@comet9");
  sessions_.Forget(Place{Key("g"), ServerId("comet9"), 0, Mid(7)});
  EXPECT_EQ(Keys({"g"}), "g@");
  ASSERT_TRUE(Ask({"SET", "key_g", "comet9"}));
  EXPECT_EQ(Arrive(7, "g", "comet1").before.server.value(), "comet9");
  EXPECT_EQ(Keys({"g"}), "g@comet1");
}

TEST_F(SessionsLive, MemoryHasOneNameUntilDataMayBeLost) {
  const auto first = Memory();
  ASSERT_TRUE(first);
  EXPECT_EQ(Memory()->name, first->name);
  ASSERT_TRUE(Ask({"FLUSHALL"}));
  const auto flushed = Memory();
  EXPECT_NE(flushed->name, first->name);
  server_.Kill();
  server_.Start();
  EXPECT_NE(Memory()->name, flushed->name);
  EXPECT_LT(Memory()->age, Duration(60'000));
}

}  // namespace
}  // namespace encke::store

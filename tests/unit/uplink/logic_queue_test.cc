#include "uplink/logic_queue.h"

#include <gtest/gtest.h>

namespace encke::uplink {
namespace {

constexpr std::int64_t kSecond = 1'000'000;

Connect Ask(std::uint64_t id) {
  Connect ask;
  ask.set_id(id);
  ask.set_token("{}");
  return ask;
}

Disconnect Goodbye(const std::string& key) {
  Disconnect goodbye;
  goodbye.set_key(key);
  return goodbye;
}

std::string Ids(const SessionUp& up) {
  std::string ids;
  for (const auto& connect : up.connects())
    ids += std::to_string(connect.id()) + " ";
  for (const auto& goodbye : up.disconnects())
    ids += "-" + goodbye.key() + " ";
  return ids;
}

struct Fixture {
  LinkStats stats;
  LogicQueue queue{3, 1 << 20, stats};
  std::string Fill(std::int64_t now) {
    SessionUp up;
    queue.Fill(&up, now);
    return Ids(up);
  }
};

TEST(LogicQueue, SaysAgainOnlyWhatWasNotAnswered) {
  Fixture f;
  for (std::uint64_t id = 1; id <= 3; ++id)
    ASSERT_TRUE(f.queue.Arrive(Ask(id), 1));
  EXPECT_FALSE(f.queue.Arrive(Ask(4), 1)) << "events_max";
  EXPECT_EQ(f.Fill(2), "1 2 3 ");
  EXPECT_EQ(f.Fill(3), "");
  EXPECT_EQ(f.queue.connects().Answered(2, 11), 10);
  EXPECT_EQ(f.queue.connects().Answered(2, 11), std::nullopt);
  f.queue.Restart(4);
  EXPECT_EQ(f.Fill(5), "1 3 ");
}

// Empty: nothing to say.  At rest: nobody waits for an answer either.
TEST(LogicQueue, RestsWhenNobodyWaitsForAnAnswer) {
  Fixture f;
  EXPECT_TRUE(f.queue.resting());
  ASSERT_TRUE(f.queue.Arrive(Ask(1), 1));
  EXPECT_EQ(f.Fill(2), "1 ");
  EXPECT_TRUE(f.queue.empty());
  EXPECT_FALSE(f.queue.resting());
  f.queue.connects().Answered(1, 3);
  EXPECT_TRUE(f.queue.resting());
  f.queue.Depart(Goodbye("key"));
  EXPECT_FALSE(f.queue.resting());
}

// A tenth of a second's worth at once, then as time passes; what cannot have its turn in time is
// refused, and an ask that was given up costs nothing.
TEST(LogicQueue, ARateHoldsConnectsBack) {
  LinkStats stats;
  LogicQueue queue(1000, 1 << 20, stats);
  queue.connects().SetRate(20);
  const auto fill = [&queue](std::int64_t now) {
    SessionUp up;
    queue.Fill(&up, now);
    return Ids(up);
  };
  for (std::uint64_t id = 1; id <= 100; ++id)
    ASSERT_TRUE(queue.Arrive(Ask(id), kSecond));
  EXPECT_FALSE(queue.Arrive(Ask(101), kSecond)) << "it would wait more than five seconds";
  EXPECT_EQ(fill(kSecond), "1 2 ");
  EXPECT_EQ(fill(kSecond), "");
  EXPECT_FALSE(queue.empty());
  EXPECT_TRUE(queue.connects().Answered(3, kSecond).has_value());
  EXPECT_EQ(fill(kSecond + kSecond / 20), "4 ");
  EXPECT_EQ(fill(kSecond + kSecond / 20), "");
  EXPECT_EQ(fill(3 * kSecond), "5 6 ") << "a pause saves up a burst, not more";
  queue.Depart(Goodbye("a"));
  EXPECT_EQ(fill(3 * kSecond), "-a ") << "only connects wait";
}

// A message for each login costs several times the login: with a rate they leave in few.
TEST(LogicQueue, WithARateLoginsLeaveTogether) {
  LinkStats stats;
  LogicQueue queue(1000, 1 << 20, stats);
  queue.connects().SetRate(100'000);
  std::uint64_t id = 0;
  const auto come = [&](std::size_t count) {
    for (std::size_t i = 0; i < count; ++i)
      ASSERT_TRUE(queue.Arrive(Ask(++id), kSecond));
  };
  const auto fill = [&queue](std::int64_t now) {
    SessionUp up;
    queue.Fill(&up, now);
    return up.connects_size();
  };
  come(1);
  EXPECT_EQ(fill(kSecond), 1) << "the first one waits for nobody";
  come(2);
  EXPECT_EQ(fill(kSecond + kSecond / 20 - 1), 0);
  EXPECT_EQ(fill(kSecond + kSecond / 20), 2);
  (void)queue.connects().Answered(1, kSecond);
  come(AskTable<Connect>::kGatherMost);
  EXPECT_EQ(fill(kSecond + kSecond / 20), 64) << "as many need not wait";
}

// Two batches are under way at most; what comes meanwhile gathers until one of them is answered,
// or for a quarter of a second.
TEST(LogicQueue, LoginsGatherWhileLogicIsBusy) {
  LinkStats stats;
  LogicQueue queue(1000, 1 << 20, stats);
  std::uint64_t id = 0;
  const auto come = [&](int count) {
    for (int i = 0; i < count; ++i)
      ASSERT_TRUE(queue.Arrive(Ask(++id), 1));
  };
  const auto fill = [&queue](std::int64_t now) {
    SessionUp up;
    queue.Fill(&up, now);
    return Ids(up);
  };
  come(1);
  EXPECT_EQ(fill(1), "1 ");
  come(2);
  EXPECT_EQ(fill(2), "2 3 ");
  come(3);
  EXPECT_FALSE(queue.Ready(3));
  EXPECT_EQ(fill(3), "");
  (void)queue.connects().Answered(2, 4);
  EXPECT_FALSE(queue.Ready(4)) << "half of the second batch";
  (void)queue.connects().Answered(3, 5);
  EXPECT_TRUE(queue.Ready(5));
  EXPECT_EQ(fill(5), "4 5 6 ");
  come(1);
  EXPECT_EQ(fill(6), "");
  EXPECT_EQ(fill(kSecond / 2), "7 ") << "the batches before are late";
  come(1);
  queue.Restart(kSecond / 2);
  EXPECT_EQ(fill(kSecond / 2), "1 4 5 6 7 8 ");
}

TEST(LogicQueue, WhatWasGivenUpUnsaidIsForgotten) {
  Fixture f;
  ASSERT_TRUE(f.queue.Arrive(Ask(1), kSecond));
  ASSERT_TRUE(f.queue.Arrive(Ask(2), 3 * kSecond));
  EXPECT_EQ(f.queue.connects().GiveUp(2 * kSecond), std::vector<std::uint64_t>{1});
  EXPECT_FALSE(f.queue.empty());
  EXPECT_EQ(f.queue.connects().GiveUp(4 * kSecond), std::vector<std::uint64_t>{2});
  EXPECT_TRUE(f.queue.empty()) << "nothing waits for a stream";
}

TEST(LogicQueue, RefusesWhatNobodyAnsweredAndItMayBeTriedAgain) {
  Fixture f;
  ASSERT_TRUE(f.queue.Arrive(Ask(1), kSecond));
  ASSERT_TRUE(f.queue.Arrive(Ask(2), 3 * kSecond));
  Request request;
  request.set_id(7);
  ASSERT_TRUE(f.queue.Ask(request, kSecond));
  const auto given_up = f.queue.GiveUp(2 * kSecond, 2 * kSecond);
  ASSERT_EQ(given_up.connects.size(), 1u);
  EXPECT_EQ(given_up.connects[0].id(), 1u);
  EXPECT_EQ(given_up.connects[0].refused(), "no logic answered");
  EXPECT_TRUE(given_up.connects[0].retry());
  ASSERT_EQ(given_up.replies.size(), 1u);
  EXPECT_EQ(given_up.replies[0].id(), 7u);
  EXPECT_EQ(given_up.replies[0].error(), "no logic answered");
  EXPECT_TRUE(given_up.replies[0].retry());
  EXPECT_EQ(f.stats.unanswered.value(), 1u);
  EXPECT_EQ(f.stats.requests_unanswered.value(), 1u);
  EXPECT_EQ(f.stats.waiting.value(), 1);
}

TEST(LogicQueue, RepeatsGoodbyesOfTheLastSecondsFirst) {
  Fixture f;
  f.queue.Depart(Goodbye("old"));
  EXPECT_EQ(f.Fill(1), "-old ");
  f.queue.Depart(Goodbye("a"));
  f.queue.Depart(Goodbye("b"));
  EXPECT_EQ(f.Fill(10 * kSecond), "-a -b ");
  f.queue.Depart(Goodbye("c"));
  f.queue.Restart(11 * kSecond);
  EXPECT_EQ(f.Fill(11 * kSecond), "-a -b -c ");
}

TEST(LogicQueue, RepeatsReportsAndCountsPackagesWhoseStreamBreaks) {
  Fixture f;
  const auto fill = [&f](std::int64_t now) {
    SessionUp up;
    f.queue.Fill(&up, now);
    std::string ids;
    for (const PushReport& report : up.reports())
      ids += report.id() + " ";
    return ids + std::to_string(up.upstreams_size());
  };
  const auto report = [&f](const char* id) {
    PushReport one;
    one.set_id(id);
    f.queue.Report({one});
  };
  report("old");
  EXPECT_TRUE(f.queue.Receive({}));
  EXPECT_EQ(fill(1), "old 1");
  report("a");
  EXPECT_TRUE(f.queue.Receive({}));
  EXPECT_TRUE(f.queue.Receive({}));
  EXPECT_EQ(fill(10 * kSecond), "a 2");
  report("b");
  EXPECT_TRUE(f.queue.Receive({}));  // waits, and goes with the next stream
  f.queue.Restart(11 * kSecond);
  EXPECT_EQ(f.stats.upstreams_in_doubt.value(), 2u);
  EXPECT_EQ(fill(11 * kSecond), "a b 1");  // a package twice would be counted twice
}

TEST(LogicQueue, CountsWhatItCannotKeep) {
  Fixture f;
  for (int i = 0; i < 4; ++i) {
    f.queue.Depart(Goodbye("k"));
    EXPECT_EQ(f.queue.Renew({}), i < 3);
    EXPECT_EQ(f.queue.Receive({}), i < 3);
  }
  EXPECT_EQ(f.stats.dropped_disconnects.value(), 1u);
  EXPECT_EQ(f.stats.dropped_renewals.value(), 1u);
}

TEST(LogicQueue, SilenceIsTheAgeOfTheOldestUnanswered) {
  Fixture f;
  f.queue.Arrive(Ask(1), 0);
  EXPECT_EQ(f.queue.connects().SilenceUs(5), 0) << "not said yet";
  f.Fill(10);
  f.queue.Arrive(Ask(2), 10);
  f.Fill(20);
  EXPECT_EQ(f.queue.connects().SilenceUs(110), 100);
  f.queue.connects().Answered(1, 111);
  EXPECT_EQ(f.queue.connects().SilenceUs(120), 100);
  f.queue.Restart(130);
  EXPECT_EQ(f.queue.connects().SilenceUs(140), 0);
}

TEST(LogicQueue, GivesUpTheOldest) {
  Fixture f;
  f.queue.Arrive(Ask(1), 10);
  f.queue.Arrive(Ask(2), 20);
  f.queue.Arrive(Ask(3), 30);
  f.queue.connects().Answered(1, 31);
  EXPECT_EQ(f.queue.connects().GiveUp(30), std::vector<std::uint64_t>{2});
  EXPECT_EQ(f.queue.connects().waiting(), 1u);
  EXPECT_EQ(f.Fill(40), "3 ") << "what was given up is not said";
}

TEST(LogicQueue, RequestsAreSaidAgainUntilAnswered) {
  Fixture f;
  for (std::uint64_t id = 1; id <= 2; ++id) {
    Request request;
    request.set_id(id);
    request.mutable_heads()->add_timelines("live://1");
    ASSERT_TRUE(f.queue.Ask(request, 1));
  }
  SessionUp up;
  EXPECT_TRUE(f.queue.Fill(&up, 2));
  ASSERT_EQ(up.requests_size(), 2);
  EXPECT_EQ(up.requests(0).heads().timelines(0), "live://1");
  SessionDown down;
  down.add_replies()->set_id(1);
  down.add_replies()->set_id(9);  // nobody asked
  ASSERT_EQ(f.queue.Sort(down, 3).replies.size(), 1U);
  f.queue.Restart(4);
  up.Clear();
  EXPECT_TRUE(f.queue.Fill(&up, 5));
  ASSERT_EQ(up.requests_size(), 1);
  EXPECT_EQ(up.requests(0).id(), 2U);
  EXPECT_EQ(f.queue.requests().GiveUp(2), std::vector<std::uint64_t>{2});
  EXPECT_TRUE(f.queue.Sort(down, 6).replies.empty());
}

TEST(LogicQueue, BytesAreBoundedAndComeBack) {
  LinkStats stats;
  LogicQueue queue(100, 10'000, stats);
  Connect big = Ask(1);
  big.set_token(std::string(6'000, 'x'));
  EXPECT_TRUE(queue.Arrive(big, 1));
  big.set_id(2);
  EXPECT_TRUE(queue.Arrive(big, 1)) << "the last one may go past the bound";
  EXPECT_FALSE(queue.Arrive(Ask(3), 1));
  queue.connects().Answered(1, 2);
  EXPECT_TRUE(queue.Arrive(Ask(3), 2));
  Upstream package;
  package.set_body(std::string(10'000, 'x'));
  EXPECT_TRUE(queue.Receive(package));
  EXPECT_FALSE(queue.Receive({}));
  SessionUp up;
  queue.Fill(&up, 3);
  EXPECT_TRUE(queue.Receive({}));
}

TEST(LogicQueue, ABatchIsBounded) {
  LinkStats stats;
  LogicQueue queue(100'000, 64 << 20, stats);
  Upstream big;
  big.set_body(std::string(4096, 'x'));
  for (int i = 0; i < 1000; ++i)
    queue.Receive(big);
  SessionUp up;
  EXPECT_TRUE(queue.Fill(&up, 1));
  EXPECT_LT(up.ByteSizeLong(), LogicQueue::kBatchBytes + 8192);
  EXPECT_FALSE(queue.empty());
}

}  // namespace
}  // namespace encke::uplink

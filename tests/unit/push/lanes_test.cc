#include "push/lanes.h"

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "bus/push_log.h"

namespace encke::push {
namespace {

// Payloads of tests are no bundles, so they come back as what they are.
class LanesTest : public ::testing::Test {
 protected:
  using Stored = std::function<void(Result<std::uint64_t>)>;

  Lanes::Publish Log() {
    return [this](int partition, const std::string& id, const std::string& payload, Stored done) {
      std::string pushes;
      bus::EachPush(1, payload, [&](std::uint64_t, std::string_view push) {
        pushes += (pushes.empty() ? "" : "+") + std::string(push);
      });
      entries.push_back(std::to_string(partition) + " " + id + ": " + pushes);
      if (refuse) return done(Error{Errc::kUnavailable, "nats is away"});
      under_way.push_back(std::move(done));
    };
  }
  void Put(int partition, const std::string& push, bool alone = false) {
    lanes.Put(partition, {Item(push, alone)});
  }
  Lanes::Item Item(const std::string& push, bool alone = false) {
    return {"id-" + push, alone, push, [this, push](const Status& stored) {
              answers.push_back(push + (stored ? "" : ": " + stored.error().text));
            }};
  }
  void StoreOne() {
    Stored done = std::move(under_way.front());
    under_way.erase(under_way.begin());
    done(std::uint64_t{1});
  }
  using Texts = std::vector<std::string>;

  Texts entries;
  Texts answers;
  std::vector<Stored> under_way;
  bool refuse = false;
  std::int64_t now_us = 1'000'000;
  Lanes lanes{8, 20, Log(), [this] { return now_us; }};
};

TEST_F(LanesTest, WhatComesWhileEntriesAreUnderWayLeavesTogether) {
  Put(0, "a");
  Put(0, "b");
  Put(0, "c");
  Put(1, "d");  // another partition's does not wait
  EXPECT_EQ(entries, (Texts{"0 id-a: a", "1 id-d: d"}));
  StoreOne();
  EXPECT_EQ(entries.back(), "0 id-b: b+c");
  EXPECT_EQ(answers, (Texts{"a"}));
  StoreOne();
  StoreOne();
  EXPECT_EQ(answers, (Texts{"a", "d", "b", "c"}));
  EXPECT_EQ(lanes.in_flight(), 0U);
  Put(0, "e");
  EXPECT_EQ(entries.back(), "0 id-e: e");
}

TEST_F(LanesTest, APushWithAnIdOfItsCallerWaitsForNobodyAndOvertakesNobody) {
  Put(0, "a");
  Put(0, "b");
  Put(0, "c");
  Put(0, "named", true);
  Put(0, "d");
  EXPECT_EQ(entries, (Texts{"0 id-a: a", "0 id-b: b+c", "0 id-named: named"}));
  StoreOne();
  StoreOne();
  EXPECT_EQ(entries.size(), 3U);  // one is still under way
  StoreOne();
  EXPECT_EQ(entries.back(), "0 id-d: d");
}

TEST_F(LanesTest, PastTheLimitPushesAreRefused) {
  for (char push = 'a'; push <= 'u'; ++push)
    Put(0, std::string(1, push));
  EXPECT_EQ(answers, (Texts{"u: too many pushes in flight"}));
  EXPECT_EQ(lanes.in_flight(), 20U);
  StoreOne();
  Put(0, "h");
  while (!under_way.empty())
    StoreOne();
  EXPECT_EQ(answers.back(), "h");
}

TEST_F(LanesTest, ABatchLargerThanTheLimitPassesWhenNothingElseIsThere) {
  std::vector<Lanes::Item> items;
  for (char push = 'a'; push <= 'w'; ++push)
    items.push_back(Item(std::string(1, push)));
  lanes.Put(1, std::move(items));
  EXPECT_EQ(entries, (Texts{"1 id-a: a+b+c+d+e+f+g+h+i+j+k+l+m+n+o+p+q+r+s+t+u+v+w"}));
  Put(1, "more");
  EXPECT_EQ(answers, (Texts{"more: too many pushes in flight"}));
}

TEST_F(LanesTest, ALogThatRefusesAtOnceHoldsNothingUp) {
  refuse = true;
  Put(0, "a");
  Put(0, "b");
  EXPECT_EQ(answers, (Texts{"a: nats is away", "b: nats is away"}));
  refuse = false;
  Put(0, "c");
  StoreOne();
  EXPECT_EQ(answers.back(), "c");
  EXPECT_EQ(lanes.in_flight(), 0U);
}

TEST_F(LanesTest, AnEntryIsBoundedInBytes) {
  const std::string half(bus::kBundleBytesMax / 2 + 1, 'x');
  Put(0, "a");
  Put(0, half);
  Put(0, half);
  StoreOne();
  EXPECT_EQ(entries.size(), 2U);
  StoreOne();
  EXPECT_EQ(entries.size(), 3U);
}

TEST_F(LanesTest, EntriesThatLeaveTooFastWaitForAnAnswerToAny) {
  for (int lane = 0; lane < 6; ++lane)
    Put(lane, "a" + std::to_string(lane));
  EXPECT_EQ(entries.size(), 4U);  // a burst
  Put(4, "b4");
  now_us += Lanes::kEntryUs - 1;
  StoreOne();
  EXPECT_EQ(entries.size(), 4U);
  now_us += 1;
  StoreOne();
  EXPECT_EQ(entries.back(), "4 id-a4: a4+b4");
  now_us += Lanes::kEntryUs;
  Put(0, "b0");  // its own lane is free, but another one was there first
  EXPECT_EQ(entries.back(), "5 id-a5: a5");
  while (!under_way.empty())
    StoreOne();
  EXPECT_EQ(entries.back(), "0 id-b0: b0");  // nothing else was under way
  EXPECT_EQ(entries.size(), 7U);
  EXPECT_EQ(answers, (Texts{"a0", "a1", "a2", "a3", "a4", "b4", "a5", "b0"}));
}

TEST_F(LanesTest, APushThatFindsNothingUnderWayLeavesAtOnceHoweverFast) {
  for (int i = 0; i < 20; ++i) {
    Put(i % 8, std::to_string(i));
    EXPECT_EQ(entries.size(), static_cast<std::size_t>(i) + 1);
    StoreOne();
  }
}

}  // namespace
}  // namespace encke::push

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
  Lanes lanes{2, 6, Log()};
};

TEST_F(LanesTest, WhatComesWhileEntriesAreUnderWayLeavesTogether) {
  Put(0, "a");
  Put(0, "a2");
  Put(0, "b");
  Put(0, "c");
  Put(1, "d");  // another partition's does not wait
  EXPECT_EQ(entries, (Texts{"0 id-a: a", "0 id-a2: a2", "1 id-d: d"}));
  StoreOne();
  EXPECT_EQ(entries.back(), "0 id-b: b+c");
  EXPECT_EQ(answers, (Texts{"a"}));
  StoreOne();
  StoreOne();
  StoreOne();
  EXPECT_EQ(answers, (Texts{"a", "a2", "d", "b", "c"}));
  EXPECT_EQ(lanes.in_flight(), 0U);
  Put(0, "e");
  EXPECT_EQ(entries.back(), "0 id-e: e");
}

TEST_F(LanesTest, APushWithAnIdOfItsCallerWaitsForNobodyAndOvertakesNobody) {
  Put(0, "a");
  Put(0, "b");
  Put(0, "c");
  Put(0, "d");
  Put(0, "named", true);
  Put(0, "e");
  EXPECT_EQ(entries, (Texts{"0 id-a: a", "0 id-b: b", "0 id-c: c+d", "0 id-named: named"}));
  StoreOne();
  StoreOne();
  EXPECT_EQ(entries.size(), 4U);  // two are still under way
  StoreOne();
  EXPECT_EQ(entries.back(), "0 id-e: e");
}

TEST_F(LanesTest, PastTheLimitPushesAreRefused) {
  for (const char* push : {"a", "b", "c", "d", "e", "f", "g"})
    Put(0, push);
  EXPECT_EQ(answers, (Texts{"g: too many pushes in flight"}));
  EXPECT_EQ(lanes.in_flight(), 6U);
  StoreOne();
  Put(0, "h");
  while (!under_way.empty())
    StoreOne();
  EXPECT_EQ(answers.back(), "h");
}

TEST_F(LanesTest, ABatchLargerThanTheLimitPassesWhenNothingElseIsThere) {
  std::vector<Lanes::Item> items;
  for (int i = 0; i < 8; ++i)
    items.push_back(Item(std::to_string(i)));
  lanes.Put(1, std::move(items));
  EXPECT_EQ(entries, (Texts{"1 id-0: 0+1+2+3+4+5+6+7"}));
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
  Put(0, "b");
  Put(0, half);
  Put(0, half);
  StoreOne();
  EXPECT_EQ(entries.size(), 3U);
  StoreOne();
  EXPECT_EQ(entries.size(), 4U);
}

}  // namespace
}  // namespace encke::push

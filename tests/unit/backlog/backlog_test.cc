// What waits for a slow client, told in words: "line: a b | full c, newer d".

#include "backlog/backlog.h"

#include <map>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace encke::backlog {
namespace {

constexpr std::size_t kCost = Backlog::kItemBytes + 1;  // of an item of one letter

struct BacklogTest : testing::Test {
  Backlog line;
  std::string lost;
  const Backlog::Lose lose = [this](const Item& item, Why why) {
    static constexpr const char* kWhy[] = {"full", "newer", "left"};
    lost +=
        (lost.empty() ? "" : ", ") + std::string(kWhy[static_cast<int>(why)]) + " " + item.package;
  };

  static ItemPtr One(Policy policy,
                     const std::string& body,
                     const std::string& name = "",
                     const std::string& room = "r") {
    return std::make_shared<const Item>(
        Item{.package = body, .policy = policy, .name = name, .room = room});
  }
  bool Add(Policy policy,
           const std::string& body,
           std::size_t most,
           const std::string& name = "n") {
    return line.Add(One(policy, body, policy == Policy::kLatest ? name : ""), most, lose);
  }
  std::string Lost() { return std::exchange(lost, {}); }
};

TEST_F(BacklogTest, DropNewRefusesWhatDoesNotFit) {
  for (const char* body : {"a", "b", "c"})
    EXPECT_TRUE(Add(Policy::kDropNew, body, 3 * kCost));
  EXPECT_FALSE(Add(Policy::kDropNew, "d", 3 * kCost));
  EXPECT_EQ(line.bytes(), 3 * kCost);
  EXPECT_EQ(Lost(), "");
  EXPECT_EQ(line.Take(99), "abc");
  EXPECT_EQ(line.bytes(), 0U);
  EXPECT_TRUE(line.empty());
}

TEST_F(BacklogTest, DropOldLetsTheOldestGo) {
  for (const char* body : {"a", "b", "c", "d", "e"})
    EXPECT_TRUE(Add(Policy::kDropOld, body, 3 * kCost));
  EXPECT_EQ(Lost(), "full a, full b");
  EXPECT_TRUE(Add(Policy::kDropOld, "four", 3 * kCost)) << "three bytes more: two must go";
  EXPECT_EQ(Lost(), "full c, full d");
  EXPECT_EQ(line.bytes(), 2 * kCost + 3);
  EXPECT_EQ(line.Take(99), "efour");
}

TEST_F(BacklogTest, LatestKeepsTheNewestOfEachNameInTheOrderOfTheirComing) {
  for (const char* body : {"a1", "b1", "c1", "a2", "b2", "a3"})
    EXPECT_TRUE(Add(Policy::kLatest, body, 99 * kCost, std::string(1, body[0])));
  EXPECT_EQ(Lost(), "newer a1, newer b1, newer a2");
  EXPECT_EQ(line.size(), 3U);
  EXPECT_EQ(line.bytes(), 3 * (kCost + 1));
  EXPECT_EQ(line.Take(99), "c1b2a3");
}

TEST_F(BacklogTest, LatestOfTooManyNamesLosesTheOldest) {
  for (const char* body : {"a", "b", "c", "d"})
    EXPECT_TRUE(Add(Policy::kLatest, body, 3 * kCost, body));
  EXPECT_EQ(Lost(), "full a");
  EXPECT_TRUE(Add(Policy::kLatest, "B", 3 * kCost, "b")) << "b's bytes are enough";
  EXPECT_EQ(Lost(), "newer b");
  EXPECT_EQ(line.Take(99), "cdB");
}

TEST_F(BacklogTest, KeepIsNeverLetGoAndMakesRoomForItself) {
  EXPECT_TRUE(Add(Policy::kKeep, "k", 3 * kCost));
  EXPECT_TRUE(Add(Policy::kDropOld, "a", 3 * kCost));
  EXPECT_TRUE(Add(Policy::kLatest, "b", 3 * kCost));
  EXPECT_TRUE(Add(Policy::kKeep, "K", 3 * kCost));
  EXPECT_EQ(Lost(), "full a");
  EXPECT_TRUE(Add(Policy::kKeep, "L", 3 * kCost));
  EXPECT_EQ(Lost(), "full b");
  EXPECT_FALSE(Add(Policy::kKeep, "M", 3 * kCost)) << "now its client must go";
  EXPECT_EQ(line.Take(99), "kKL");
}

TEST_F(BacklogTest, NothingIsLetGoInVain) {
  EXPECT_TRUE(Add(Policy::kKeep, "kkkk", 2 * kCost + 4));
  EXPECT_TRUE(Add(Policy::kLatest, "a", 2 * kCost + 4));
  EXPECT_FALSE(Add(Policy::kLatest, std::string(kCost, 'x'), 2 * kCost + 4));
  EXPECT_FALSE(Add(Policy::kDropNew, "d", 2 * kCost + 4)) << "older ones do not go for it";
  EXPECT_EQ(Lost(), "");
  EXPECT_EQ(line.Take(99), "kkkka");
}

TEST_F(BacklogTest, AnEmptyLineTakesOneOfAnySize) {
  for (const Policy policy : {Policy::kDropNew, Policy::kKeep, Policy::kDropOld, Policy::kLatest}) {
    EXPECT_TRUE(Add(policy, std::string(1000, 'x'), 1));
    EXPECT_EQ(line.Take(1).size(), 1000U);
  }
  EXPECT_TRUE(Add(Policy::kDropOld, "a", 0));
  EXPECT_TRUE(Add(Policy::kDropOld, "b", 0)) << "the one it holds makes way";
  EXPECT_EQ(Lost(), "full a");
}

TEST_F(BacklogTest, ItIsTakenInPiecesOfWholePackages) {
  for (const char* body : {"aaa", "bb", "cccccc", "d"})
    Add(Policy::kDropOld, body, 99 * kCost);
  EXPECT_EQ(line.Take(5), "aaabb");
  EXPECT_EQ(line.Take(5), "cccccc") << "one is always taken";
  EXPECT_EQ(line.Take(5), "d");
  EXPECT_EQ(line.Take(5), "");
}

// Else a name that is pushed faster than the line moves would always be at its end.
TEST_F(BacklogTest, WhatWaitedWhenATurnBeganIsNotReplaced) {
  for (const char* body : {"a1", "b1", "c1"})
    Add(Policy::kLatest, body, 99 * kCost, std::string(1, body[0]));
  EXPECT_EQ(line.Take(2), "a1");
  Add(Policy::kLatest, "c2", 99 * kCost, "c");
  Add(Policy::kLatest, "c3", 99 * kCost, "c");
  Add(Policy::kLatest, "a2", 99 * kCost, "a");
  EXPECT_EQ(Lost(), "newer c2");
  EXPECT_EQ(line.Take(4), "b1c1");
  EXPECT_EQ(line.Take(2), "c3");
  Add(Policy::kLatest, "a3", 99 * kCost, "a");
  EXPECT_EQ(line.Take(99), "a2a3") << "a2 is of the turn that c3 began";
  EXPECT_EQ(Lost(), "");
}

TEST_F(BacklogTest, WhoLeavesARoomWaitsForNothingOfIt) {
  line.Add(One(Policy::kLatest, "a", "n", "r1"), 99 * kCost, lose);
  line.Add(One(Policy::kKeep, "b", "", "r2"), 99 * kCost, lose);
  line.Add(One(Policy::kDropOld, "c", "", "r1"), 99 * kCost, lose);
  line.Leave("r1", lose);
  EXPECT_EQ(Lost(), "left a, left c");
  EXPECT_EQ(line.bytes(), kCost);
  line.Add(One(Policy::kLatest, "d", "n", "r1"), 99 * kCost, lose);
  line.Clear(lose);
  EXPECT_EQ(Lost(), "left b, left d");
  EXPECT_EQ(line.bytes(), 0U);
}

TEST(Rules, ATypeHasItsOwnOrTheOneForOthers) {
  Rules rules;
  EXPECT_FALSE(rules.apart());
  EXPECT_EQ(rules.Of("live").Of(7), Policy::kDropNew);
  rules.Set("group", {.policy = Policy::kKeep});
  EXPECT_FALSE(rules.apart()) << "a batch of these needs not be taken apart";
  rules.Set("live", {.policy = Policy::kDropOld, .ops = {{7, Policy::kLatest}}});
  EXPECT_TRUE(rules.apart());
  EXPECT_EQ(rules.Of("live").Of(7), Policy::kLatest);
  EXPECT_EQ(rules.Of("live").Of(8), Policy::kDropOld);
  EXPECT_EQ(rules.Of("other").Of(7), Policy::kDropNew);
  rules.Set("*", {.policy = Policy::kDropOld});
  EXPECT_EQ(rules.Of("other").Of(7), Policy::kDropOld);
  EXPECT_EQ(rules.Of("group").Of(7), Policy::kKeep);
}

// Against a list and nothing else: the same is taken, refused and lost, and all is in order.
TEST(BacklogModel, DoesWhatAPlainListWouldDo) {
  struct Entry {
    std::string body;
    Policy policy;
    char name;
  };
  for (unsigned seed = 1; seed <= 200; ++seed) {
    std::minstd_rand random(seed);
    Backlog line;
    std::vector<Entry> model;
    std::vector<std::string> lost, wanted;
    const auto size = [](const Entry& e) { return e.body.size() + Backlog::kItemBytes; };
    const auto bytes = [&](bool firm_only) {
      std::size_t sum = 0;
      for (const Entry& e : model)
        if (!firm_only || e.policy < Policy::kDropOld) sum += size(e);
      return sum;
    };
    const std::size_t most = 1500;
    for (int step = 0; step < 300; ++step) {
      if (random() % 40 == 0) {  // whole, so that turns do not matter
        std::string all;
        for (const Entry& e : model)
          all += e.body;
        EXPECT_EQ(line.Take(1'000'000), all);
        model.clear();
        continue;
      }
      const Entry entry{.body = std::to_string(step) + std::string(random() % 200, '.'),
                        .policy = static_cast<Policy>(random() % 4),
                        .name = static_cast<char>('a' + random() % 3)};
      const bool latest = entry.policy == Policy::kLatest;
      const auto item =
          std::make_shared<const Item>(Item{.package = entry.body,
                                            .policy = entry.policy,
                                            .name = latest ? std::string(1, entry.name) : ""});
      const std::size_t stays = bytes(entry.policy != Policy::kDropNew);
      const bool fits = stays == 0 || stays + size(entry) <= most;
      EXPECT_EQ(
          line.Add(item, most, [&lost](const Item& one, Why) { lost.push_back(one.package); }),
          fits);
      if (!fits) continue;
      const auto go = [&](auto at) {
        wanted.push_back(at->body);
        model.erase(at);
      };
      for (auto at = model.begin(); latest && at != model.end(); ++at) {
        if (at->policy != Policy::kLatest || at->name != entry.name) continue;
        go(at);
        break;
      }
      for (auto at = model.begin(); at != model.end() && bytes(false) + size(entry) > most;) {
        if (at->policy < Policy::kDropOld) {
          ++at;
        } else {
          go(at);
          at = model.begin();
        }
      }
      model.push_back(entry);
      EXPECT_EQ(line.bytes(), bytes(false));
      EXPECT_EQ(line.size(), model.size());
    }
    EXPECT_EQ(lost, wanted) << "seed " << seed;
  }
}

}  // namespace
}  // namespace encke::backlog

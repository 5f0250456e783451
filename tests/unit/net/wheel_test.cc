#include "net/wheel.h"

#include <map>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace encke::net {
namespace {

constexpr std::int64_t kBegin = 1'000'000;
constexpr std::int64_t kTick = Wheel::kTickMs;
constexpr std::int64_t kRound = kTick * Wheel::kBuckets;

std::vector<std::uint32_t> Fired(Wheel* wheel, std::int64_t now_ms) {
  std::vector<std::uint32_t> ids;
  wheel->Advance(now_ms, 1000, [&](std::uint32_t id) { ids.push_back(id); });
  return ids;
}

using Ids = std::vector<std::uint32_t>;

TEST(Wheel, FiresOnceAndNeverEarly) {
  Wheel wheel(kBegin);
  wheel.Set(5, kBegin + 1000);
  EXPECT_EQ(Fired(&wheel, kBegin + 999), Ids{});
  EXPECT_EQ(Fired(&wheel, kBegin + 1000 + kTick), Ids{5});
  EXPECT_EQ(Fired(&wheel, kBegin + 10'000), Ids{});
  EXPECT_EQ(wheel.NextMs(), -1);
}

TEST(Wheel, ADeadlineMovesLaterWithoutFiring) {
  Wheel wheel(kBegin);
  wheel.Set(1, kBegin + 1000);
  wheel.Set(1, kBegin + 5000);
  EXPECT_EQ(Fired(&wheel, kBegin + 4999), Ids{});
  EXPECT_EQ(Fired(&wheel, kBegin + 5000 + kTick), Ids{1});
}

TEST(Wheel, ADeadlineMovesEarlier) {
  Wheel wheel(kBegin);
  wheel.Set(1, kBegin + 50'000);
  wheel.Set(2, kBegin + 50'000);
  wheel.Set(3, kBegin + 50'000);
  wheel.Set(2, kBegin + 1000);  // from the middle of its bucket
  EXPECT_EQ(Fired(&wheel, kBegin + 1000 + kTick), Ids{2});
  EXPECT_EQ(Fired(&wheel, kBegin + 50'000 + kTick).size(), 2u);
}

TEST(Wheel, ClearedDoesNotFireAndCanBeSetAgain) {
  Wheel wheel(kBegin);
  wheel.Set(1, kBegin + 1000);
  wheel.Clear(1);
  wheel.Clear(99);  // never seen
  EXPECT_EQ(Fired(&wheel, kBegin + 2000), Ids{});
  wheel.Set(1, kBegin + 3000);
  wheel.Clear(1);
  wheel.Set(1, kBegin + 4000);
  EXPECT_EQ(Fired(&wheel, kBegin + 3999), Ids{});
  EXPECT_EQ(Fired(&wheel, kBegin + 4000 + kTick), Ids{1});
}

TEST(Wheel, LongerThanARound) {
  Wheel wheel(kBegin);
  const std::int64_t at = kBegin + 3 * kRound + 12'345;
  wheel.Set(1, at);
  for (std::int64_t now = kBegin; now < at; now += 60'000)
    ASSERT_EQ(Fired(&wheel, now), Ids{});
  EXPECT_EQ(Fired(&wheel, at + kTick), Ids{1});
}

TEST(Wheel, ALongPauseFiresEverythingThatPassed) {
  Wheel wheel(kBegin);
  for (std::uint32_t id = 0; id < 100; ++id)
    wheel.Set(id, kBegin + 1000 * (id + 1));
  EXPECT_EQ(Fired(&wheel, kBegin + 10 * kRound).size(), 100u);
}

TEST(Wheel, ThePastFiresAtTheNextTick) {
  Wheel wheel(kBegin);
  EXPECT_EQ(Fired(&wheel, kBegin + 10'000), Ids{});
  wheel.Set(1, kBegin + 5000);
  EXPECT_EQ(wheel.NextMs() > kBegin + 10'000 - kTick, true);
  EXPECT_EQ(Fired(&wheel, kBegin + 10'000 + kTick), Ids{1});
}

TEST(Wheel, FiringMayArmAgain) {
  Wheel wheel(kBegin);
  wheel.Set(1, kBegin + 100);
  int fired = 0;
  const std::int64_t end = kBegin + 100 * kTick;
  wheel.Advance(end, 1000, [&](std::uint32_t id) {
    ++fired;
    wheel.Set(id, kBegin);  // the past again: the next tick, never this one for ever
  });
  EXPECT_GT(fired, 90);
  EXPECT_LE(fired, 100);
}

TEST(Wheel, WhatOneCallLeavesComesWithTheNext) {
  Wheel wheel(kBegin);
  for (std::uint32_t id = 0; id < 10; ++id)
    wheel.Set(id, kBegin + 1000);
  const std::int64_t end = kBegin + 1000 + kTick;
  std::size_t fired = 0;
  const auto fire = [&](std::uint32_t) { ++fired; };
  wheel.Advance(end, 4, fire);
  EXPECT_EQ(fired, 4u);
  EXPECT_LE(wheel.NextMs(), end);
  wheel.Clear(0);  // the first filed is the last to come
  wheel.Set(1, end + 5000);
  wheel.Advance(end, 4, fire);
  EXPECT_EQ(fired, 8u);
  wheel.Advance(end, 4, fire);
  EXPECT_EQ(fired, 8u);
  EXPECT_GT(wheel.NextMs(), end);
  wheel.Advance(end + 5000 + kTick, 4, fire);
  EXPECT_EQ(fired, 9u);
}

// Against a plain map, over many rounds.
TEST(Wheel, AgreesWithAMap) {
  std::mt19937 random(20);
  Wheel wheel(kBegin);
  std::map<std::uint32_t, std::int64_t> model;
  std::int64_t now = kBegin;
  for (int step = 0; step < 20'000; ++step) {
    const auto id = static_cast<std::uint32_t>(random() % 200);
    switch (random() % 4) {
      case 0:
        wheel.Clear(id);
        model.erase(id);
        break;
      case 1:
        now += random() % 2000;
        wheel.Advance(now, 1000, [&](std::uint32_t fired) {
          ASSERT_EQ(model.count(fired), 1u);
          ASSERT_LE(model[fired], now);
          model.erase(fired);
        });
        for (const auto& [left, at] : model)
          ASSERT_GT(at + kTick, now) << left;
        break;
      default: {
        const std::int64_t at = now + 1 + static_cast<std::int64_t>(random() % (2 * kRound));
        wheel.Set(id, at);
        model[id] = at;
      }
    }
  }
}

}  // namespace
}  // namespace encke::net

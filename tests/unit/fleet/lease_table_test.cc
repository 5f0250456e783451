#include "fleet/lease_table.h"

#include <gtest/gtest.h>

#include "unit/fleet/lease_world.h"

namespace encke::fleet {
namespace {

using Sizes = std::vector<std::size_t>;

TEST(LeaseTable, ALoneJobTakesAll) {
  Simulation sim(1, 16);
  sim.Join();
  sim.Run(500, true);
  EXPECT_EQ(sim.Shares(), (Sizes{16}));
}

TEST(LeaseTable, ANewJobGetsItsShareWithinTwoSeconds) {
  Simulation sim(2, 16);
  sim.Join();
  sim.Run(1000, true);
  sim.Join();
  sim.Run(2000, true);
  EXPECT_EQ(sim.Shares(), (Sizes{8, 8}));
  sim.Join();
  sim.Run(2000, true);
  EXPECT_EQ(sim.Shares(), (Sizes{5, 5, 6}));
}

TEST(LeaseTable, NobodyIsLeftWithNothing) {
  Simulation sim(3, 16);
  for (int i = 0; i < 4; ++i)
    sim.Join();
  sim.Run(2000, true);
  EXPECT_EQ(sim.Shares(), (Sizes{4, 4, 4, 4}));
  sim.Join();  // ceil(16 / 5) is 4 as well
  sim.Run(3000, true);
  EXPECT_EQ(sim.Shares(), (Sizes{3, 3, 3, 3, 4}));
}

TEST(LeaseTable, MoreJobsThanPartitionsIsNoTrouble) {
  Simulation sim(4, 4);
  for (int i = 0; i < 6; ++i)
    sim.Join();
  sim.Run(5000, true);
  EXPECT_EQ(sim.Shares(), (Sizes{0, 0, 1, 1, 1, 1}));
}

TEST(LeaseTable, ADeadJobIsReplacedWithinFiveSecondsThoughTheRegistryIsLate) {
  Simulation sim(5, 16);
  for (int i = 0; i < 2; ++i)
    sim.Join();
  sim.Run(3000, true);
  sim.Kill();
  sim.Run(5000, false);  // still told that there are two
  EXPECT_EQ(sim.Shares(), (Sizes{16}));
  const std::uint64_t fences = sim.world().fences.size();
  sim.Run(1500, false);
  sim.Run(60'000, true);
  EXPECT_EQ(sim.Shares(), (Sizes{16}));
  EXPECT_EQ(sim.world().fences.size(), fences) << "leases moved for nothing";
}

TEST(LeaseTable, AJobThatLeavesIsReplacedAtOnce) {
  Simulation sim(6, 16);
  for (int i = 0; i < 2; ++i)
    sim.Join();
  sim.Run(3000, true);
  sim.Leave();
  sim.Run(750, true);
  EXPECT_EQ(sim.Shares(), (Sizes{16}));
}

TEST(LeaseTable, AWrongRegistryHoldsNothingBackForLong) {
  Simulation sim(7, 16);
  sim.Join();
  sim.Tell(4);
  sim.Run(12'000, false);
  EXPECT_EQ(sim.Shares(), (Sizes{16}));
}

TEST(LeaseTable, AfterAnOutageEveryHolderHasItsOwnAgain) {
  Simulation sim(8, 16);
  for (int i = 0; i < 3; ++i)
    sim.Join();
  sim.Run(3000, true);
  const auto first = sim.job(1).table.held();
  sim.SetReachable(false);
  sim.Run(2000, true);
  EXPECT_EQ(sim.used(), 16u) << "a short outage costs nobody anything";
  sim.Run(20'000, true);
  EXPECT_EQ(sim.used(), 0u) << "a long one stops everybody";
  sim.SetReachable(true);
  sim.Run(750, true);
  EXPECT_EQ(sim.job(1).table.held(), first);
  EXPECT_EQ(sim.used(), 16u);
}

TEST(LeaseTable, AHolderCutOffStopsBeforeAnotherBegins) {
  Simulation sim(9, 4);
  for (int i = 0; i < 2; ++i)
    sim.Join();
  sim.Run(2000, true);
  sim.job(1).store.reachable = false;
  for (int i = 0; i < 40 && sim.job(2).table.held().size() < 4; ++i) {
    if (sim.job(2).table.held().size() > 2) {
      EXPECT_TRUE(sim.job(1).table.held().empty());
    }
    sim.Run(250, true);
  }
  EXPECT_EQ(sim.job(2).table.held().size(), 4u);
  EXPECT_EQ(sim.world().broken, "");
}

TEST(LeaseTable, ARenewalWithoutAnAnswerIsStillOurs) {
  Simulation sim(10, 8);
  sim.Join();
  sim.Run(1000, true);
  const std::uint64_t fences = sim.world().fences.size();
  sim.job(1).store.lost_answers_percent = 15;
  sim.Run(20'000, true);
  sim.job(1).store.lost_answers_percent = 0;
  sim.Run(5000, true);
  EXPECT_EQ(sim.Shares(), (Sizes{8}));
  EXPECT_EQ(sim.world().broken, "");
  EXPECT_GE(sim.world().fences.size(), fences);
}

TEST(LeaseTable, WhatCannotBeUsedIsNotHeld) {
  World world(1);
  std::mt19937 random(11);
  Store store(world, random);
  bool usable = false;
  int lost = 0;
  LeaseTable table(1, "me", world.options, store,
                   {[&] { return world.now; }, [&](int, std::uint64_t) { return usable; },
                    [&](int, bool) { ++lost; }});
  table.Turn();
  EXPECT_TRUE(table.held().empty());
  EXPECT_EQ(table.fence(0), 0u);
  usable = true;
  world.now += 250;
  table.Turn();
  EXPECT_EQ(table.held(), (std::vector<int>{0}));
  EXPECT_EQ(table.fence(0), 2u);
  EXPECT_EQ(lost, 0);
}

TEST(LeaseTable, WhoeverWasRobbedStopsAtOnce) {
  World world(1);
  std::mt19937 random(13);
  Store store(world, random);
  std::string story;
  LeaseTable table(1, "me", world.options, store,
                   {[&] { return world.now; },
                    [&](int, std::uint64_t) {
                      story += "+";
                      return true;
                    },
                    [&](int, bool ours) { story += ours ? "give" : "lose"; }});
  table.Turn();
  world.rows[0] = {"thief", ++world.revision};  // it thought that we were dead
  world.now += 1000;
  table.Turn();
  EXPECT_EQ(story, "+lose");
  EXPECT_EQ(world.rows[0].holder, "thief");
  world.now += 2000;
  table.Turn();
  EXPECT_EQ(story, "+lose");
}

TEST(LeaseTable, GivingUpTellsThatItIsStillOurs) {
  World world(2);
  std::mt19937 random(12);
  Store store(world, random);
  std::string story;
  LeaseTable table(2, "me", world.options, store,
                   {[&] { return world.now; },
                    [&](int p, std::uint64_t) {
                      story += "+" + std::to_string(p);
                      return true;
                    },
                    [&](int p, bool ours) {
                      story += (ours ? " give" : " lose") + std::to_string(p);
                      // Nobody else can have it before this returns.
                      EXPECT_EQ(world.rows[static_cast<std::size_t>(p)].holder, "me");
                    }});
  table.Turn();
  table.GiveUpAll();
  EXPECT_EQ(story.substr(4), " give0 give1");
  EXPECT_EQ(world.rows[0].holder, "");
  EXPECT_EQ(world.rows[1].holder, "");
}

TEST(LeaseTable, ThousandsOfTroubledHistoriesEndWell) {
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
    Simulation sim(seed, 1 + static_cast<int>(seed % 17));
    for (std::uint64_t i = 0; i <= seed % 4; ++i)
      sim.Join();
    sim.Trouble();
    sim.Calm();
    ASSERT_EQ(sim.world().broken, "") << "seed " << seed;
    ASSERT_EQ(sim.used(), static_cast<std::size_t>(sim.world().partitions)) << "seed " << seed;
    const Sizes shares = sim.Shares();
    ASSERT_LE(shares.back() - shares.front(), 1u) << "seed " << seed;
  }
}

}  // namespace
}  // namespace encke::fleet

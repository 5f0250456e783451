// Counting: histogram steps, what a connection has seen, and the accounts.

#include <random>

#include <gtest/gtest.h>

#include "tally/accounts.h"
#include "tally/histogram.h"
#include "tally/stamp.h"
#include "tally/track.h"

namespace encke::bench {
namespace {

TEST(Histogram, EveryValueLiesInItsStepAndTheErrorIsBounded) {
  for (std::uint64_t v : {0UL, 1UL, 127UL, 128UL, 129UL, 130UL, 255UL, 256UL, 1000UL, 65535UL,
                          65536UL, 123456789UL, (1UL << 40) - 1}) {
    const std::size_t i = Histogram::Index(v);
    EXPECT_LE(v, Histogram::Edge(i)) << v;
    EXPECT_TRUE(i == 0 || v > Histogram::Edge(i - 1)) << v;
    EXPECT_LE(static_cast<double>(Histogram::Edge(i) - v), static_cast<double>(v) / 64) << v;
  }
}

TEST(Histogram, QuantilesAreThoseOfTheSortedValues) {
  Histogram h;
  for (std::uint64_t v = 1; v <= 100; ++v)
    h.Add(v);
  EXPECT_EQ(h.At(0.5), 50U);
  EXPECT_EQ(h.At(0.9), 90U);
  EXPECT_EQ(h.At(0.99), 99U);
  EXPECT_EQ(h.At(0.999), 100U);
  EXPECT_EQ(h.At(1), 100U);
  EXPECT_EQ(Histogram().At(0.5), 0U);
}

TEST(Histogram, TheMaximumBoundsAQuantile) {
  Histogram h;
  h.Add(1'000'001);
  EXPECT_EQ(h.At(0.5), 1'000'001U);
}

TEST(Histogram, MergingIsAddingUpBuckets) {
  Histogram a, b, both;
  std::mt19937_64 random(1);
  for (int i = 0; i < 10000; ++i) {
    const std::uint64_t v = random() % 10'000'000;
    (i % 3 == 0 ? a : b).Add(v);
    both.Add(v);
  }
  a.Merge(b);
  EXPECT_EQ(a.Sparse(), both.Sparse());
  std::uint64_t sum = 0;
  const auto sparse = both.Sparse();
  for (const auto& bucket : sparse["buckets"])
    sum += bucket[1].get<std::uint64_t>();
  EXPECT_EQ(sum, 10000U);
}

TEST(Track, TellsNewLateAndRepeatedApart) {
  Track track;
  EXPECT_TRUE(track.empty());
  EXPECT_EQ(track.Note(5), Arrival::kNew);
  EXPECT_EQ(track.Note(5), Arrival::kRepeat);
  EXPECT_EQ(track.Note(7), Arrival::kNew);
  EXPECT_EQ(track.Note(6), Arrival::kLate);
  EXPECT_EQ(track.Note(6), Arrival::kRepeat);
  EXPECT_EQ(track.Note(5), Arrival::kRepeat);
  EXPECT_EQ(track.Note(70), Arrival::kNew);
  EXPECT_EQ(track.Note(7), Arrival::kRepeat) << "63 behind is still known";
  EXPECT_EQ(track.Note(6), Arrival::kLate) << "64 behind is not";
  EXPECT_EQ(track.Note(1000), Arrival::kNew);
  EXPECT_EQ(track.Note(999), Arrival::kLate);
}

TEST(Track, TheFirstMayBeNumberZero) {
  Track track;
  EXPECT_EQ(track.Note(0), Arrival::kNew);
  EXPECT_EQ(track.Note(0), Arrival::kRepeat);
  EXPECT_EQ(track.Note(1), Arrival::kNew);
}

TEST(Stamp, SurvivesABodyAndKnowsItself) {
  Stamp in;
  in.run = 7;
  in.stream = 3;
  in.sequence = 9;
  in.planned_us = 1234567890123;
  std::string body;
  in.AppendTo(&body, 50);
  EXPECT_EQ(body.size(), 50U);
  Stamp out;
  ASSERT_TRUE(out.ReadFrom(body.data(), body.size()));
  EXPECT_EQ(out.run, 7U);
  EXPECT_EQ(out.stream, 3U);
  EXPECT_EQ(out.sequence, 9U);
  EXPECT_EQ(out.planned_us, 1234567890123);
  EXPECT_FALSE(out.ReadFrom(body.data(), Stamp::kSize - 1));
  body[0] = 'x';
  EXPECT_FALSE(out.ReadFrom(body.data(), body.size()));
}

TEST(Runs, JoinsEqualNeighboursAndLeavesZerosOut) {
  EXPECT_EQ(Runs({{2, 2, 0, 3}, {}, {1}}).dump(), "[[0,0,1,2],[0,3,3,3],[2,0,0,1]]");
  EXPECT_EQ(Runs({}).dump(), "[]");
}

TEST(Tally, RefusesStreamsAndSequencesThatWouldEatTheMemory) {
  Tally tally;
  EXPECT_FALSE(tally.CountPush(kStreamsMax, 0));
  EXPECT_FALSE(tally.CountPush(0, kSequencesMax));
  EXPECT_EQ(tally.delivered, 0U);
}

// Two rooms of 2 and 3 members, one stream each.
struct TwoRooms {
  Offers offers;
  Tally tally;
  std::vector<std::uint32_t> members{2, 3};

  TwoRooms() { offers.groups = 2; }
  void Deliver(std::uint32_t stream, std::uint32_t sequence, int times) {
    for (int i = 0; i < times; ++i)
      tally.CountPush(stream, sequence);
  }
};

TEST(Accounts, AddUpWhenEverybodyGotEverything) {
  TwoRooms t;
  t.offers.Note(0, 0, Fate::kAccepted);
  t.offers.Note(1, 0, Fate::kAccepted);
  t.offers.Note(1, 1, Fate::kAccepted);
  t.Deliver(0, 0, 2);
  t.Deliver(1, 0, 3);
  t.Deliver(1, 1, 3);
  const Accounts a = Settle(t.offers, t.tally, t.members);
  EXPECT_EQ(a.offered, 3U);
  EXPECT_EQ(a.expected, 8U);
  EXPECT_EQ(a.delivered, 8U);
  EXPECT_EQ(a.lost, 0U);
  EXPECT_TRUE(a.AddUp());
}

TEST(Accounts, ALossInOnePushIsNotHiddenByAnUnconfirmedOne) {
  TwoRooms t;
  t.offers.Note(0, 0, Fate::kAccepted);
  t.offers.Note(0, 1, Fate::kRefused);  // the answer got lost, the push did not
  t.offers.Note(0, 2, Fate::kAccepted);
  t.Deliver(0, 0, 1);
  t.Deliver(0, 1, 2);
  const Accounts a = Settle(t.offers, t.tally, t.members);
  EXPECT_EQ(a.accepted, 2U);
  EXPECT_EQ(a.refused, 1U);
  EXPECT_EQ(a.expected, 4U);
  EXPECT_EQ(a.delivered, 3U);
  EXPECT_EQ(a.unconfirmed, 2U);
  EXPECT_EQ(a.lost, 3U);
  EXPECT_EQ(a.delivered, a.expected - a.lost + a.unconfirmed);
  EXPECT_FALSE(a.AddUp());
}

TEST(Accounts, SeveralStreamsMayAimAtOneGroup) {
  TwoRooms t;
  t.offers.streams_per_group = 2;
  for (std::uint32_t stream = 0; stream < 4; ++stream)
    t.offers.Note(stream, 0, Fate::kAccepted);
  EXPECT_EQ(t.offers.Expected(t.members), 2U + 2 + 3 + 3);
}

}  // namespace
}  // namespace encke::bench

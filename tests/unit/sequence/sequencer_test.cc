#include "sequence/sequencer.h"

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace encke::sequence {
namespace {

class SequencerTest : public ::testing::Test {
 protected:
  Sequencer::Ports Ports() {
    return {.read = [this](const std::string& name, std::uint64_t epoch, std::uint64_t after,
                           std::uint64_t before) -> Result<std::vector<Sequencer::Entry>> {
              ++reads;
              if (away) return Error{Errc::kTimeout, "away"};
              std::vector<Sequencer::Entry> page;
              if (epoch != 1) return page;
              for (const auto& [seq, time_ms] : kept[name]) {
                if (seq > after && seq < before && page.size() < 3)
                  page.push_back({seq, time_ms, "r" + std::to_string(seq)});
              }
              return page;
            },
            .now_ms = [this] { return now_ms; }};
  }
  void Keep(std::uint64_t from, std::uint64_t to) {
    for (std::uint64_t seq = from; seq <= to; ++seq)
      kept["live://1"][seq] = now_ms;
  }
  // "5", "r3 r4 5" or "-".
  std::string Take(std::uint64_t seq, std::uint64_t epoch = 1) {
    const auto verdict = sequencer.Take({"live://1", epoch, seq, now_ms});
    std::string out;
    for (const std::string& push : verdict.before)
      out += push + " ";
    return verdict.route ? out + std::to_string(seq) : out + "-";
  }

  std::int64_t now_ms = 10'000;
  std::map<std::string, std::map<std::uint64_t, std::int64_t>> kept;
  bool away = false;
  int reads = 0;
  SequencerCounts counts;
  Sequencer sequencer{SequencerOptions{.timelines_max = 3, .fill_max = 10}, Ports(), counts};
};

TEST_F(SequencerTest, InLineNobodyIsAsked) {
  for (std::uint64_t seq = 1; seq <= 5; ++seq)
    EXPECT_EQ(Take(seq), std::to_string(seq));
  EXPECT_EQ(reads, 0);
}

TEST_F(SequencerTest, RepeatsGo) {
  Take(1);
  Take(2);
  EXPECT_EQ(Take(1), "-");
  EXPECT_EQ(Take(2), "-");
  EXPECT_EQ(Take(3), "3");
  EXPECT_EQ(counts.repeats.value(), 2u);
}

TEST_F(SequencerTest, AHoleIsFilledAndWhatCameLateIsARepeat) {
  Keep(1, 9);
  Take(1);
  EXPECT_EQ(Take(4), "r2 r3 4");
  EXPECT_EQ(Take(2), "-");
  EXPECT_EQ(Take(3), "-");
  EXPECT_EQ(Take(9), "r5 r6 r7 r8 9");  // two pages
  EXPECT_EQ(counts.filled.value(), 6u);
  EXPECT_EQ(counts.holes.value(), 0u);
}

TEST_F(SequencerTest, AHoleIsFilledUpToSoManyBytes) {
  Sequencer small(SequencerOptions{.fill_max = 100, .fill_bytes_max = 10}, Ports(), counts);
  Keep(1, 30);
  small.Take({"live://1", 1, 1, now_ms});
  const auto verdict = small.Take({"live://1", 1, 30, now_ms});
  EXPECT_EQ(verdict.before.size(), 6u);  // two pages of three
  EXPECT_EQ(verdict.before.back(), "r7");
  EXPECT_EQ(counts.holes.value(), 22u);
  EXPECT_TRUE(small.Take({"live://1", 1, 8, now_ms}).route);
}

TEST_F(SequencerTest, WhatCannotBeHadIsCountedAndWelcomeLater) {
  Keep(4, 4);
  Take(1);
  EXPECT_EQ(Take(6), "r4 6");
  EXPECT_EQ(counts.holes.value(), 3u);
  EXPECT_EQ(Take(3), "3");
  EXPECT_EQ(Take(3), "-");
  EXPECT_EQ(Take(4), "-");
  EXPECT_EQ(Take(5), "5");
  EXPECT_EQ(counts.late.value(), 2u);
}

TEST_F(SequencerTest, ATimelineThatIsAwayIsNotAskedForEveryEntry) {
  Take(1);
  away = true;
  EXPECT_EQ(Take(3), "3");
  EXPECT_EQ(Take(5), "5");
  EXPECT_EQ(reads, 3);
  EXPECT_EQ(counts.read_failures.value(), 1u);
  away = false;
  Keep(1, 9);
  now_ms += 2000;
  EXPECT_EQ(Take(7), "r6 7");
  EXPECT_EQ(Take(2), "2");  // it came after all
}

TEST_F(SequencerTest, TheFirstSeenBringsWhatWasSaidJustBefore) {
  Keep(1, 3);
  now_ms += 5000;
  Keep(4, 8);
  EXPECT_EQ(Take(8), "r4 r5 r6 r7 8");
  EXPECT_EQ(Take(5), "-");
  EXPECT_EQ(Take(3), "3");  // nobody knows whether that was delivered
  EXPECT_EQ(counts.looked_back.value(), 4u);
}

TEST_F(SequencerTest, ANewEpochBeginsAnewAndAnOldOneIsLetThrough) {
  Take(7);
  EXPECT_EQ(Take(1, 2), "1");
  EXPECT_EQ(Take(1, 2), "-");
  EXPECT_EQ(Take(8, 1), "8");
  EXPECT_EQ(Take(2, 2), "2");
}

TEST_F(SequencerTest, TheLongestSilentIsForgotten) {
  const auto say = [this](const std::string& name, std::uint64_t seq) {
    return sequencer.Take({name, 1, seq, now_ms}).route;
  };
  for (const char* name : {"a", "b", "c"})
    say(name, 1);
  say("a", 2);
  say("d", 1);
  EXPECT_EQ(sequencer.timelines(), 3u);
  EXPECT_FALSE(say("a", 2));  // remembered
  EXPECT_TRUE(say("b", 1));   // not
  EXPECT_EQ(counts.forgotten.value(), 2u);
}

// Whatever order the log has, everything is delivered once, and in order from the second on.
TEST_F(SequencerTest, AnyOrderOfTheLogIsStraightenedOut) {
  for (unsigned seed = 0; seed < 2000; ++seed) {
    std::mt19937 random(seed);
    SequencerCounts own;
    Sequencer line(SequencerOptions{}, Ports(), own);
    std::vector<std::uint64_t> log;
    kept.clear();
    const std::uint64_t count = 2 + random() % 40;
    Keep(1, count);
    for (std::uint64_t seq = 1; seq <= count; ++seq)
      if (random() % 10 != 0 || seq == count) log.push_back(seq);  // some were never published
    for (int i = 0; i < 20; ++i) {
      const std::size_t at = random() % log.size();
      const std::size_t with = std::min<std::size_t>(at + random() % 4, log.size() - 1);
      std::swap(log[at], log[with]);
      if (random() % 4 == 0) log.insert(log.begin() + static_cast<std::ptrdiff_t>(with), log[at]);
    }
    std::vector<std::uint64_t> got;
    for (const std::uint64_t seq : log) {
      const auto verdict = line.Take({"live://1", 1, seq, now_ms});
      for (const std::string& push : verdict.before)
        got.push_back(std::stoull(push.substr(1)));
      if (verdict.route) got.push_back(seq);
    }
    EXPECT_TRUE(std::is_sorted(got.begin(), got.end())) << "seed " << seed;
    EXPECT_EQ(std::adjacent_find(got.begin(), got.end()), got.end()) << "seed " << seed;
    EXPECT_EQ(got.back(), count) << "seed " << seed;
    EXPECT_EQ(got.size(), count - got.front() + 1) << "seed " << seed;
  }
}

}  // namespace
}  // namespace encke::sequence

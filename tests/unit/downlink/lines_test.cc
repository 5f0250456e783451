#include "downlink/lines.h"

#include <random>
#include <set>
#include <string>

#include <gtest/gtest.h>

namespace encke::downlink {
namespace {

PushDown Down(std::uint64_t fence, std::uint64_t log, const std::vector<std::uint64_t>& seqs) {
  PushDown down;
  PushBatch* batch = down.add_batches();
  batch->set_partition(3);
  batch->set_fence(fence);
  batch->set_log(log);
  for (const std::uint64_t seq : seqs)
    batch->add_entries()->set_seq(seq);
  return down;
}

std::string Take(Lines& lines, const PushDown& down) {
  const auto fresh = lines.Take(down.batches(0));
  if (!fresh) return "refused";
  std::string text;
  for (const bool one : *fresh)
    text += one ? 'n' : 'r';
  return text;
}

TEST(LinesTest, WhatComesLateIsTakenOnce) {
  Lines lines;
  EXPECT_EQ(Take(lines, Down(1, 7, {10, 20, 30})), "nnn");
  EXPECT_EQ(Take(lines, Down(1, 7, {15, 20, 40})), "nrn");
  EXPECT_EQ(Take(lines, Down(2, 7, {10, 11, 15})), "rnr");
}

TEST(LinesTest, OlderLeasesAreRefusedAndAnotherLogStartsAnew) {
  Lines lines;
  EXPECT_EQ(Take(lines, Down(5, 7, {100})), "n");
  EXPECT_EQ(Take(lines, Down(4, 7, {101})), "refused");
  EXPECT_EQ(Take(lines, Down(6, 8, {1, 100})), "nn");
  EXPECT_EQ(Take(lines, Down(6, 8, {1})), "r");
}

TEST(LinesTest, AClaimExcludesOthersUntilItsRelease) {
  Lines lines;
  const int me = 0;
  const int you = 0;
  EXPECT_TRUE(lines.Claim(Down(1, 7, {1}), &me));
  EXPECT_FALSE(lines.Claim(Down(2, 7, {1}), &you));
  lines.Release(&you);
  EXPECT_FALSE(lines.Claim(Down(2, 7, {1}), &you));
  lines.Release(&me);
  EXPECT_TRUE(lines.Claim(Down(2, 7, {1}), &you));
}

TEST(SeenTest, WhatIsTooOldCountsAsTaken) {
  Seen seen;
  for (std::uint64_t seq = 10; seq < 10 + 2 * kSeenMax; seq += 2)
    EXPECT_TRUE(seen.Take(seq));
  EXPECT_TRUE(seen.Take(9));  // late, and there is room for it
  EXPECT_TRUE(seen.Take(11 + 2 * kSeenMax));
  EXPECT_FALSE(seen.Take(7));  // 9 was forgotten, and all before it
  EXPECT_FALSE(seen.Take(9));
}

TEST(SeenTest, AgreesWithASet) {
  std::mt19937_64 random(42);
  Seen seen;
  std::set<std::uint64_t> taken;
  std::uint64_t newest = 1'000'000;
  seen.Take(newest);
  taken.insert(newest);
  for (int i = 0; i < 200'000; ++i) {
    const std::uint64_t seq = random() % 4 > 0
                                  ? newest + 1 + random() % 100
                                  : newest - random() % 20'000;  // the last thousand or so
    newest = std::max(newest, seq);
    ASSERT_EQ(seen.Take(seq), taken.insert(seq).second) << seq;
  }
}

}  // namespace
}  // namespace encke::downlink

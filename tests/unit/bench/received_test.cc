#include "tally/received.h"

#include <gtest/gtest.h>

namespace encke::bench {
namespace {

TEST(Received, EveryKindOfWrongIsCounted) {
  Received got;
  for (const std::uint64_t number : {1, 2, 5, 3, 3, 2})
    got.Take(number);
  EXPECT_EQ(got.count, 6U);
  EXPECT_EQ(got.out_of_order, 1U);  // the 3 behind the 5
  EXPECT_EQ(got.duplicates, 2U);
  EXPECT_EQ(got.Lacks(5), 1U);  // 4
  EXPECT_EQ(got.Lacks(7), 3U);
}

TEST(Received, NothingIsWrongWithAStraightLine) {
  Received got;
  for (std::uint64_t number = 1; number <= 100; ++number)
    got.Take(number);
  EXPECT_EQ(got.duplicates + got.out_of_order + got.Lacks(100), 0U);
}

}  // namespace
}  // namespace encke::bench

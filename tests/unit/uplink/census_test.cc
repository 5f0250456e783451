#include "uplink/census.h"

#include <gtest/gtest.h>

namespace encke::uplink {
namespace {

constexpr std::size_t kMuch = 1 << 20;

std::map<std::string, int> Taken(Census& census, std::size_t bytes_max = kMuch) {
  RoomCounts counts;
  census.Take(bytes_max, &counts);
  return {counts.counts().begin(), counts.counts().end()};
}

using Rooms = std::map<std::string, int>;

TEST(Census, TellsOnlyWhatChanged) {
  Census census;
  EXPECT_FALSE(census.changed());
  census.Add("a", 2);
  census.Add("b", 1);
  census.Add("a", 3);
  EXPECT_TRUE(census.changed());
  EXPECT_EQ(Taken(census), (Rooms{{"a", 5}, {"b", 1}}));
  EXPECT_FALSE(census.changed());
  census.Add("b", -1);
  EXPECT_EQ(Taken(census), (Rooms{{"b", 0}}));
  EXPECT_EQ(census.rooms(), 1u);
}

TEST(Census, AnEmptyRoomIsForgottenOnlyWhenItsZeroWasTaken) {
  Census census;
  census.Add("a", 1);
  census.Add("a", -1);
  EXPECT_EQ(census.rooms(), 1u);
  EXPECT_EQ(Taken(census), (Rooms{{"a", 0}}));
  EXPECT_EQ(census.rooms(), 0u);
}

TEST(Census, TakesInPieces) {
  Census census;
  for (int i = 0; i < 100; ++i)
    census.Add("room" + std::to_string(i), 1);
  Rooms all;
  int pieces = 0;
  for (; census.changed(); ++pieces)
    all.merge(Taken(census, 200));
  EXPECT_EQ(all.size(), 100u);
  EXPECT_GT(pieces, 5);
}

TEST(Census, ANewLogicHearsEverything) {
  Census census;
  census.Add("a", 1);
  census.Add("b", 1);
  Taken(census);
  census.MarkAll();
  census.Add("a", 1);
  EXPECT_EQ(Taken(census), (Rooms{{"a", 2}, {"b", 1}}));
}

TEST(Census, OnlineIsTheClustersTotalButNeverLessThanHere) {
  Census census;
  census.Add("a", 3);
  EXPECT_EQ(census.Online("a"), 3);
  census.SetTotal("a", 10);
  EXPECT_EQ(census.Online("a"), 10);
  census.SetTotal("a", 2);
  EXPECT_EQ(census.Online("a"), 3);
  census.SetTotal("stranger", 5);
  EXPECT_EQ(census.Online("stranger"), 0);
}

}  // namespace
}  // namespace encke::uplink

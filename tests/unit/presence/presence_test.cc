#include "presence/presence.h"

#include <gtest/gtest.h>

namespace encke::presence {
namespace {

using store::Place;
using store::RoomTable;

constexpr std::int64_t kSecond = 1'000'000;
constexpr std::int64_t kStart = 1'800'000'000 * kSecond;

std::vector<Instance> Comets(const std::vector<std::string>& ids) {
  std::vector<Instance> comets;
  for (const std::string& id : ids)
    comets.emplace_back().set_id(id);
  return comets;
}

Place At(const char* comet, std::int64_t written_us) {
  return Place{Key("k"), ServerId(comet), static_cast<std::uint64_t>(written_us), Mid(1)};
}

TEST(Liveness, ACometIsDeadTenSecondsAfterItLeft) {
  Liveness liveness;
  const Place place = At("a", kStart - 60 * kSecond);
  liveness.Update(Comets({"a", "b"}), kStart);
  EXPECT_FALSE(liveness.Dead(place, kStart + 100 * kSecond));
  liveness.Update(Comets({"b"}), kStart);
  EXPECT_FALSE(liveness.Dead(place, kStart + 9 * kSecond));
  EXPECT_TRUE(liveness.Dead(place, kStart + 10 * kSecond));
  liveness.Update(Comets({"a", "b"}), kStart + 11 * kSecond);
  EXPECT_FALSE(liveness.Dead(place, kStart + 12 * kSecond));
}

TEST(Liveness, AnUnknownCometGetsTheSamePatience) {
  Liveness liveness;
  const Place place = At("stranger", kStart - 60 * kSecond);
  EXPECT_FALSE(liveness.Dead(place, kStart));
  EXPECT_FALSE(liveness.Dead(place, kStart + 9 * kSecond));
  EXPECT_TRUE(liveness.Dead(place, kStart + 10 * kSecond));
}

TEST(Liveness, AnEntryWrittenAfterTheCometLeftProvesItsLife) {
  Liveness liveness;
  liveness.Update(Comets({"a"}), kStart);
  liveness.Update(Comets({}), kStart);
  const std::int64_t later = kStart + 3600 * kSecond;
  EXPECT_TRUE(liveness.Dead(At("a", kStart - kSecond), later));
  EXPECT_FALSE(liveness.Dead(At("a", later), later));
}

TEST(RoomTotals, SumOverTheCometsThatAreKept) {
  RoomTotals totals;
  const auto empty = totals.Get();
  EXPECT_EQ(totals.Get(), empty);
  totals.Put(ServerId("a"), {5, {{"r", 1}, {"s", 2}}});
  totals.Put(ServerId("b"), {7, {{"r", 10}}});
  EXPECT_EQ(*totals.Get(), (RoomTable{{"r", 11}, {"s", 2}}));
  EXPECT_EQ(totals.Get(), totals.Get());
  EXPECT_EQ(totals.VersionOf(ServerId("b")), 7);
  totals.Put(ServerId("a"), {6, {{"r", 2}}});
  EXPECT_EQ(*totals.Get(), (RoomTable{{"r", 12}}));
  totals.Keep({ServerId("b")});
  EXPECT_EQ(*totals.Get(), (RoomTable{{"r", 10}}));
  EXPECT_EQ(totals.VersionOf(ServerId("a")), -1);
}

TEST(LargestRooms, MatchAPrefixAndBreakTiesByName) {
  const RoomTable rooms = {
      {"live://b", 5}, {"live://a", 5}, {"live://c", 9}, {"list://x", 7}, {"game://1", 100}};
  using Found = std::vector<std::pair<std::string, std::int32_t>>;
  EXPECT_EQ(LargestRooms(rooms, "live", 2), (Found{{"live://c", 9}, {"live://a", 5}}));
  EXPECT_EQ(LargestRooms(rooms, "li", 10),
            (Found{{"live://c", 9}, {"list://x", 7}, {"live://a", 5}, {"live://b", 5}}));
  EXPECT_EQ(LargestRooms(rooms, "", 1), (Found{{"game://1", 100}}));
  EXPECT_TRUE(LargestRooms(rooms, "none", 5).empty());
  EXPECT_TRUE(LargestRooms(rooms, "live", 0).empty());
}

}  // namespace
}  // namespace encke::presence

#include "store/sessions.h"

#include <gtest/gtest.h>

namespace encke::store {
namespace {

std::string Tell(std::string_view entry, bool with_mid) {
  const Place place = ParsePlace(Key("k"), entry, with_mid);
  return place.server.value() + "|" + std::to_string(place.generation) + "|" +
         std::to_string(place.mid.value());
}

TEST(Place, IsReadFromBothKindsOfEntry) {
  EXPECT_EQ(Tell("comet1 123 7", true), "comet1|123|7");
  EXPECT_EQ(Tell("comet1 123 -1", true), "comet1|123|-1");
  EXPECT_EQ(Tell("comet1 123", false), "comet1|123|0");
}

TEST(Place, IsNowhereWithoutAnEntry) { EXPECT_EQ(Tell("", true), "|0|0"); }

TEST(Place, TakesGoimEntriesAsGenerationZero) {
  EXPECT_EQ(Tell("comet1", true), "comet1|0|0");
  EXPECT_EQ(Tell("comet1", false), "comet1|0|0");
}

TEST(Place, KeepsOddServerNames) {
  EXPECT_EQ(Tell("a b 5 6", true), "a b|5|6");
  EXPECT_EQ(Tell("a 5", true), "a 5|0|0");
}

}  // namespace
}  // namespace encke::store

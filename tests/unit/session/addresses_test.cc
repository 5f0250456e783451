#include "session/addresses.h"

#include <gtest/gtest.h>

namespace encke::session {
namespace {

TEST(Addresses, CountsDistinctOnes) {
  Addresses addresses;
  const auto a = addresses.Enter("10.0.0.1");
  const auto b = addresses.Enter("10.0.0.2");
  EXPECT_EQ(addresses.Enter("10.0.0.1"), a);
  EXPECT_EQ(addresses.distinct(), 2u);
  addresses.Leave(a);
  EXPECT_EQ(addresses.distinct(), 2u);
  addresses.Leave(a);
  EXPECT_EQ(addresses.distinct(), 1u);
  EXPECT_EQ(addresses.Enter("10.0.0.3"), a);
  addresses.Leave(b);
  EXPECT_EQ(addresses.distinct(), 1u);
}

}  // namespace
}  // namespace encke::session

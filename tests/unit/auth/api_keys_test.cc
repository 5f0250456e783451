#include "auth/api_keys.h"

#include <gtest/gtest.h>

namespace encke::auth {
namespace {

TEST(ApiKeys, WithoutKeysEverybodyMay) {
  const auto keys = ApiKeys::Make({});
  ASSERT_TRUE(keys);
  EXPECT_TRUE(keys->empty());
  EXPECT_TRUE(keys->Allow("", ""));
}

TEST(ApiKeys, EitherHeaderWillDo) {
  const auto keys = ApiKeys::Make({"alpha", "beta"});
  ASSERT_TRUE(keys);
  EXPECT_TRUE(keys->Allow("Bearer alpha", ""));
  EXPECT_TRUE(keys->Allow("bearer  beta", ""));
  EXPECT_TRUE(keys->Allow("", "beta"));
  EXPECT_TRUE(keys->Allow("Bearer wrong", "alpha"));
  EXPECT_FALSE(keys->Allow("", ""));
  EXPECT_FALSE(keys->Allow("Bearer ", ""));
  EXPECT_FALSE(keys->Allow("alpha", ""));
  EXPECT_FALSE(keys->Allow("Basic alpha", ""));
  EXPECT_FALSE(keys->Allow("Bearer alph", "alphaa"));
}

TEST(ApiKeys, KeysThatCannotBeSentAreErrors) {
  EXPECT_FALSE(ApiKeys::Make({"good", ""}));
  EXPECT_FALSE(ApiKeys::Make({"two words"}));
  EXPECT_FALSE(ApiKeys::Make({"line\n"}));
}

TEST(ApiKeys, ReplacedKeysHoldAtOnceForEveryCopy) {
  auto keys = ApiKeys::Make({"alpha"});
  ASSERT_TRUE(keys);
  const ApiKeys copy = *keys;
  EXPECT_FALSE(keys->Replace({"two words"}));
  EXPECT_TRUE(copy.Allow("", "alpha"));
  EXPECT_TRUE(keys->Replace({"beta"}));
  EXPECT_FALSE(copy.Allow("", "alpha"));
  EXPECT_TRUE(copy.Allow("", "beta"));
}

TEST(ApiKeys, BeyondLoopbackNeedsAKey) {
  const auto none = ApiKeys::Make({});
  const auto some = ApiKeys::Make({"alpha"});
  ASSERT_TRUE(none && some);
  for (const char* address : {"127.0.0.1:3111", "127.8.9.1:0", "[::1]:3111", "localhost:3111"}) {
    EXPECT_TRUE(none->MayListen("http.listen", address)) << address;
  }
  for (const char* address : {"0.0.0.0:3111", ":3111", "[::]:3111", "10.0.0.1:3111", "logic:3111",
                              "localhost.evil:1", "127.0.0.1.evil:1"}) {
    EXPECT_FALSE(none->MayListen("http.listen", address)) << address;
    EXPECT_TRUE(some->MayListen("http.listen", address)) << address;
  }
}

}  // namespace
}  // namespace encke::auth

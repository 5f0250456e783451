#include "rpc/server.h"

#include <gtest/gtest.h>

#include "unit/rpc/peers.h"

namespace encke::rpc {
namespace {

TEST(Server, SaysWhichPortItGot) {
  Comet comet;
  ASSERT_TRUE(comet.up());
  EXPECT_NE(comet.address(), "127.0.0.1:0");
}

TEST(Server, APortInUseIsAnError) {
  Comet comet;
  const auto second = Server::Start({.address = comet.address()}, {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::kUnavailable);
  EXPECT_NE(second.error().text.find(comet.address()), std::string::npos);
}

TEST(Server, StopTwiceIsFine) {
  Comet comet;
  comet.Stop();
  comet.Stop();
}

}  // namespace
}  // namespace encke::rpc

#include "store/redis.h"

#include <future>
#include <memory>

#include <gtest/gtest.h>

namespace encke::store {
namespace {

RedisOptions Nowhere() {
  RedisOptions options;
  options.address = "127.0.0.1:1";  // nobody listens on tcpmux
  options.timeout = Duration(20);
  return options;
}

TEST(Redis, KnowsTheHashOfAScript) {
  EXPECT_EQ(Redis::MakeScript("x", "return 1").sha, "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
}

TEST(Redis, SaysThatTheServerIsAway) {
  Redis redis(Nowhere());
  auto answer = std::make_shared<std::promise<Result<Reply>>>();
  redis.Call({"PING"}, [answer](Result<Reply> reply) { answer->set_value(std::move(reply)); });
  const Result<Reply> reply = answer->get_future().get();
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Errc::kUnavailable);
  EXPECT_FALSE(redis.connected());
}

TEST(Redis, RefusesMoreThanItsBound) {
  RedisOptions options = Nowhere();
  options.timeout = Duration(60'000);
  options.commands_max = 2;
  Redis redis(options);
  int overloaded = 0;
  for (int i = 0; i < 5; ++i) {
    redis.Call({"PING"}, [&overloaded](const Result<Reply>& reply) {
      if (reply.error().code == Errc::kOverloaded) ++overloaded;
    });
  }
  redis.Stop();
  EXPECT_EQ(overloaded, 3);
}

TEST(Redis, AnswersWhatWaitsWhenItStops) {
  RedisOptions options = Nowhere();
  options.timeout = Duration(60'000);
  Redis redis(options);
  int closed = 0;
  const auto count = [&closed](const Result<Reply>& reply) {
    if (reply.error().code == Errc::kClosed) ++closed;
  };
  redis.Call({"PING"}, count);
  redis.Stop();
  EXPECT_EQ(closed, 1);
  redis.Call({"PING"}, count);
  EXPECT_EQ(closed, 2);
}

}  // namespace
}  // namespace encke::store

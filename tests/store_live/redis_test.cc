#include "store/redis.h"

#include <atomic>
#include <chrono>
#include <thread>

#include <gtest/gtest.h>

#include "support/await.h"
#include "support/redis_server.h"

namespace encke::store {
namespace {

using test::Await;
using test::RedisServer;

RedisOptions OptionsFor(const RedisServer& server) {
  RedisOptions options;
  options.address = server.address();
  options.timeout = Duration(300);
  options.reconnect_max = Duration(100);
  return options;
}

Result<Reply> Ask(Redis& redis, std::vector<std::string> arguments) {
  Await<Result<Reply>> answer;
  redis.Call(std::move(arguments), answer.Callback());
  return answer.Get();
}

// Asks until it works: the server is coming back.
Result<Reply> AskPatiently(Redis& redis, const std::vector<std::string>& arguments) {
  Result<Reply> reply = Ask(redis, arguments);
  for (int i = 0; i < 50 && !reply; ++i)
    reply = Ask(redis, arguments);
  return reply;
}

TEST(RedisLive, AnswersEveryKindOfReply) {
  RedisServer server;
  Redis redis(OptionsFor(server));
  EXPECT_EQ(Ask(redis, {"SET", "a", "1"})->text, "OK");
  EXPECT_EQ(Ask(redis, {"INCR", "a"})->integer, 2);
  EXPECT_EQ(Ask(redis, {"GET", "a"})->text, "2");
  EXPECT_EQ(Ask(redis, {"GET", "none"})->kind, Reply::Kind::kNil);
  const auto list = Ask(redis, {"MGET", "a", "none"});
  ASSERT_EQ(list->list.size(), 2u);
  EXPECT_EQ(list->list[0].text, "2");
  const auto wrong = Ask(redis, {"LPUSH", "a", "x"});
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, Errc::kInvalid);
  EXPECT_TRUE(redis.connected());
}

TEST(RedisLive, KeepsBytesAsTheyAre) {
  RedisServer server;
  Redis redis(OptionsFor(server));
  const std::string bytes("\0\r\n $\xff", 6);
  ASSERT_TRUE(Ask(redis, {"SET", bytes, bytes}));
  EXPECT_EQ(Ask(redis, {"GET", bytes})->text, bytes);
}

TEST(RedisLive, GivesPasswordAndDatabase) {
  RedisServer server(RedisServer::Options{.append_only = false, .password = "secret"});
  RedisOptions options = OptionsFor(server);
  options.password = "secret";
  options.database = 3;
  Redis redis(options);
  ASSERT_TRUE(Ask(redis, {"SET", "k", "v"}));
  const auto info = Ask(redis, {"INFO", "keyspace"});
  EXPECT_NE(info->text.find("db3:"), std::string::npos);

  options.password = "wrong";
  Redis stranger(options);
  const auto refused = Ask(stranger, {"GET", "k"});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kUnavailable);
  EXPECT_FALSE(stranger.connected());
}

TEST(RedisLive, RunsTenThousandPipelinedScriptsInOrder) {
  RedisServer server;
  RedisOptions options = OptionsFor(server);
  options.timeout = Duration(5000);
  Redis redis(options);
  const auto script = Redis::MakeScript("next", "return redis.call('INCR', KEYS[1])");
  constexpr int kCalls = 10'000;
  std::atomic<int> out_of_order{0};
  std::atomic<int> answered{0};
  Await<bool> all;
  for (int i = 1; i <= kCalls; ++i) {
    redis.Eval(script, {"n"}, {}, [&, i, done = all.Callback()](Result<Reply> reply) {
      if (!reply || reply->integer != i) ++out_of_order;
      if (++answered == kCalls) done(true);
    });
  }
  EXPECT_TRUE(all.Get());
  EXPECT_EQ(out_of_order, 0);
  const auto stats = Ask(redis, {"INFO", "commandstats"});
  EXPECT_NE(stats->text.find("cmdstat_eval:calls=1,"), std::string::npos) << stats->text;
}

TEST(RedisLive, TeachesTheScriptAgainWhenTheServerForgotIt) {
  RedisServer server;
  Redis redis(OptionsFor(server));
  const auto script = Redis::MakeScript("echo", "return ARGV[1]");
  for (const char* word : {"one", "two"}) {
    Await<Result<Reply>> answer;
    redis.Eval(script, {}, {word}, answer.Callback());
    EXPECT_EQ(answer.Get()->text, word);
    ASSERT_TRUE(Ask(redis, {"SCRIPT", "FLUSH"}));
  }
}

TEST(RedisLive, StalledServerFailsWhatWaitsAndIsUsedAgainLater) {
  RedisServer server;
  Redis redis(OptionsFor(server));
  ASSERT_TRUE(Ask(redis, {"PING"}));
  server.Freeze();
  const auto stalled = Ask(redis, {"SET", "a", "1"});
  ASSERT_FALSE(stalled);
  EXPECT_EQ(stalled.error().code, Errc::kTimeout);
  const auto away = Ask(redis, {"SET", "a", "2"});  // the kernel accepts, nobody greets
  ASSERT_FALSE(away);
  EXPECT_EQ(away.error().code, Errc::kUnavailable);
  EXPECT_GE(redis.counts().timeouts.value(), 1u);
  server.Thaw();
  EXPECT_TRUE(AskPatiently(redis, {"PING"}));
}

TEST(RedisLive, SurvivesKillAndRestartWithoutData) {
  RedisServer server;
  Redis redis(OptionsFor(server));
  std::atomic<int> connects{0};
  redis.OnConnect([&connects] { ++connects; });
  ASSERT_TRUE(Ask(redis, {"SET", "a", "1"}));
  server.Kill();
  EXPECT_FALSE(Ask(redis, {"GET", "a"}));
  server.WipeData();
  server.Start();
  const auto reply = AskPatiently(redis, {"GET", "a"});
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->kind, Reply::Kind::kNil);
  EXPECT_EQ(connects, 2);
}

TEST(RedisLive, SurvivesKillAndRestartWithData) {
  RedisServer server(RedisServer::Options{.append_only = true, .password = ""});
  Redis redis(OptionsFor(server));
  ASSERT_TRUE(Ask(redis, {"SET", "a", "1"}));
  server.Kill();
  server.Start();
  const auto reply = AskPatiently(redis, {"GET", "a"});
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->text, "1");
}

TEST(RedisLive, ACommandWaitsForAServerThatComesBackInTime) {
  RedisServer server;
  RedisOptions options = OptionsFor(server);
  options.timeout = Duration(8000);
  Redis redis(options);
  ASSERT_TRUE(Ask(redis, {"PING"}));
  server.Kill();
  while (redis.connected())
    std::this_thread::yield();
  Await<Result<Reply>> answer;
  redis.Call({"PING"}, answer.Callback());
  server.Start();
  EXPECT_EQ(answer.Get()->text, "PONG");
}

TEST(RedisLive, EveryCommandInFlightIsAnsweredOnceWhenTheServerDies) {
  RedisServer server;
  Redis redis(OptionsFor(server));
  ASSERT_TRUE(Ask(redis, {"PING"}));
  constexpr int kCalls = 2000;
  std::atomic<int> answered{0};
  for (int i = 0; i < kCalls; ++i) {
    redis.Call({"INCR", "n"}, [&answered](const Result<Reply>&) { ++answered; });
    if (i == kCalls / 2) server.Kill();
  }
  redis.Stop();
  EXPECT_EQ(answered, kCalls);
}

TEST(RedisLive, ACallFromInsideACallbackIsAnsweredToo) {
  RedisServer server;
  Redis redis(OptionsFor(server));
  Await<Result<Reply>> answer;
  redis.Call({"SET", "a", "1"}, [&redis, done = answer.Callback()](const Result<Reply>&) {
    redis.Call({"GET", "a"}, done);
  });
  EXPECT_EQ(answer.Get()->text, "1");
}

}  // namespace
}  // namespace encke::store

#include "bus_live/live.h"

namespace encke::bus {
namespace {

class NatsLive : public LiveTest {};

TEST_F(NatsLive, NoServerIsAnErrorInTime) {
  NatsOptions options;
  options.servers = {"nats://127.0.0.1:1"};
  options.connect_timeout = Duration(300);
  const std::int64_t started_ms = MonotonicMs();
  auto nats = Nats::Connect(options);
  ASSERT_FALSE(nats);
  EXPECT_EQ(nats.error().code, Errc::kUnavailable);
  EXPECT_LT(MonotonicMs() - started_ms, 5000);
}

TEST_F(NatsLive, AServerThatComesLateIsWaitedFor) {
  server_.Kill();
  std::unique_ptr<Nats> nats;
  std::thread early([&] { nats = Connect(); });
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  server_.Start();
  early.join();
  EXPECT_TRUE(nats != nullptr && nats->connected());
}

TEST_F(NatsLive, TheLogIsMadeOnceAndKept) {
  EnsureLog();
  EnsureLog();
  EXPECT_TRUE(nats_->EnsureBuckets(1));
  EXPECT_TRUE(nats_->EnsureBuckets(1));
}

// Daemons that start together make the same things.
TEST_F(NatsLive, ManyMakeTheBucketsAtOnce) {
  std::vector<std::unique_ptr<Nats>> all;
  for (int i = 0; i < 16; ++i)
    all.push_back(Connect());
  std::vector<std::thread> threads;
  for (const auto& nats : all)
    threads.emplace_back([&nats] {
      const Status made = nats->EnsureBuckets(1);
      EXPECT_TRUE(made) << made.error().text;
    });
  for (std::thread& thread : threads)
    thread.join();
}

TEST_F(NatsLive, NewLimitsAreTakenOver) {
  EnsureLog();
  LogOptions log = Log();
  log.max_bytes = 128 << 20;
  log.max_age = Duration(60'000);
  EnsureLog(log);
  EnsureLog(log);
}

TEST_F(NatsLive, AnotherNumberOfPartitionsIsRefused) {
  EnsureLog();
  LogOptions log = Log();
  log.partitions = 5;
  const Status made = nats_->EnsureLog(log);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Errc::kConflict);
  EXPECT_NE(made.error().text.find("4 partitions"), std::string::npos) << made.error().text;
}

TEST_F(NatsLive, OtherSubjectsAreRefused) {
  EnsureLog();
  LogOptions log = Log();
  log.subject = "elsewhere";
  EXPECT_FALSE(nats_->EnsureLog(log));
}

TEST_F(NatsLive, CountsWhatHappensToTheConnection) {
  server_.Kill();
  ASSERT_TRUE(Eventually([&] { return !nats_->connected(); }));
  server_.Start();
  ASSERT_TRUE(Eventually([&] { return nats_->connected(); }));
  ASSERT_TRUE(Eventually([&] { return nats_->counts().reconnects.value() == 1; }));
  EXPECT_EQ(nats_->counts().disconnects.value(), 1u);
}

TEST_F(NatsLive, CallsWithoutAServerFailFast) {
  server_.Kill();
  ASSERT_TRUE(Eventually([&] { return !nats_->connected(); }));
  const std::int64_t started_ms = MonotonicMs();
  EXPECT_FALSE(nats_->EnsureLog(Log()));
  EXPECT_FALSE(nats_->EnsureBuckets(1));
  EXPECT_LT(MonotonicMs() - started_ms, 1000);
}

}  // namespace
}  // namespace encke::bus

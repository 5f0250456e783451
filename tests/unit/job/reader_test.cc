#include "job/reader.h"

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "api/push.pb.h"

#include "base/clock.h"
#include "unit/job/fakes.h"

namespace encke::job {
namespace {

std::string ToRoom(const std::string& room) {
  PushMsg push;
  push.set_type(PushMsg::ROOM);
  push.set_room(room);
  push.set_msg("hi");
  push.set_accepted_us(WallUs());
  return push.SerializeAsString();
}

// The push log as Readers sees it: which partitions are open, from where, and who listens.
class FakeLog {
 public:
  struct Source {
    bus::LogPlace from;
    std::function<void(const bus::LogMessage&)> each;
  };
  OpenPartition Open() {
    return
        [this](int partition, bus::LogPlace from,
               std::function<void(const bus::LogMessage&)> each) -> Result<std::shared_ptr<void>> {
          std::lock_guard lock(mutex_);
          ++tries_;
          changed_.notify_all();
          if (down_) return Error{Errc::kUnavailable, "the log is away"};
          sources_[partition] = {from, std::move(each)};
          return std::shared_ptr<void>(&sources_, [this, partition](void*) {
            std::lock_guard inner(mutex_);
            sources_.erase(partition);
          });
        };
  }
  void SetDown(bool down) {
    std::lock_guard lock(mutex_);
    down_ = down;
  }
  bool WaitTries(int count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(30), [&] { return tries_ >= count; });
  }
  bool WaitOpen(int partition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(30),
                             [&] { return sources_.contains(partition); });
  }
  bool open(int partition) {
    std::lock_guard lock(mutex_);
    return sources_.contains(partition);
  }
  Source source(int partition) {
    std::lock_guard lock(mutex_);
    return sources_.at(partition);
  }
  void Say(int partition, std::uint64_t seq, const std::string& payload, std::uint64_t log = 0) {
    source(partition).each({seq, payload, /*pending=*/3, log});
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<int, Source> sources_;
  bool down_ = false;
  int tries_ = 0;
};

class ReaderTest : public testing::Test {
 protected:
  ReaderTest() {
    Instance comet;
    comet.set_id("c1");
    comet.set_grpc("c1:9");
    router.SetComets({comet});
    world.Hello(1, {"a"});
  }
  ~ReaderTest() override {
    router.SetComets({});
    world.Break();
  }
  void Start() {
    readers.Start([this](const bus::Lease& done) {
      std::lock_guard lock(mutex);
      saved[done.partition] = {done.fence, done.checkpoint};
      changed.notify_all();
    });
  }
  bool WaitSaved(int partition, std::uint64_t fence, std::uint64_t seq) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::seconds(30),
                            [&] { return saved[partition] == std::pair(fence, seq); });
  }

  FakeWorld world;
  FakeLog log;
  Stats stats;
  Router router{"job7", LinkOptions{}, world.ports(), stats};
  // Before the readers: their thread may still save while they end.
  std::mutex mutex;
  std::condition_variable changed;
  std::map<int, std::pair<std::uint64_t, std::uint64_t>> saved;
  Readers readers{log.Open(), router, stats};
};

TEST_F(ReaderTest, TheCheckpointIsWhatEverybodyAcknowledged) {
  Reader reader({.partition = 0, .fence = 1, .checkpoint = 10}, router, stats);
  EXPECT_EQ(reader.Checkpoint().checkpoint, 10U);
  reader.OnEntry({12, ToRoom("a"), 0});
  reader.OnEntry({13, ToRoom("a"), 0});
  EXPECT_EQ(reader.Checkpoint().checkpoint, 11U);  // 12 is the oldest on its way
  world.Receive();
  world.Ack(12);
  EXPECT_EQ(reader.Checkpoint().checkpoint, 12U);
  world.Ack(13);
  EXPECT_EQ(reader.Checkpoint().checkpoint, 13U);
  reader.OnEntry({15, ToRoom("nobody here has it"), 0});
  EXPECT_EQ(reader.Checkpoint().checkpoint, 14U);  // until that is proved
  world.RunTimers();
  world.Echo(world.ReceiveAll().tick());
  EXPECT_EQ(reader.Checkpoint().checkpoint, 15U);
}

TEST_F(ReaderTest, AnotherLogIsEnteredWhenTheOldOneIsDelivered) {
  Reader reader({.partition = 0, .fence = 1, .checkpoint = 900, .log = 7}, router, stats);
  reader.OnEntry({.seq = 901, .payload = ToRoom("a"), .log = 7});
  world.Receive();
  std::thread late([&] { reader.OnEntry({.seq = 1, .payload = ToRoom("a"), .log = 8}); });
  EXPECT_EQ(reader.Checkpoint().checkpoint, 900U);
  PushUp up;
  PushAck* ack = up.add_acks();
  ack->set_fence(1);
  ack->set_seq(901);
  ack->set_log(7);
  world.stream().user->OnMessage(up);
  late.join();
  EXPECT_EQ(world.Receive(), "p0f1: 1");
  EXPECT_EQ(reader.Checkpoint().log, 8U);
  EXPECT_EQ(reader.Checkpoint().checkpoint, 0U);
  ack->set_seq(1);
  ack->set_log(8);
  world.stream().user->OnMessage(up);
  EXPECT_EQ(reader.Checkpoint().checkpoint, 1U);
  EXPECT_EQ(stats.new_logs.value(), 1U);
  EXPECT_EQ(stats.fenced.value(), 0U);
}

TEST_F(ReaderTest, WhatAStuckCometHadOfTheOldLogIsLeftBehind) {
  Reader reader({.partition = 0, .fence = 1, .checkpoint = 900, .log = 7}, router, stats);
  reader.OnEntry({.seq = 901, .payload = ToRoom("a"), .log = 7});
  world.step_us = 1'000'000;  // each look at the clock
  reader.OnEntry({.seq = 1, .payload = ToRoom("a"), .log = 8});
  EXPECT_EQ(stats.fenced.value(), 1U);
  EXPECT_EQ(world.Receive(), "p0f1: 1");
}

TEST_F(ReaderTest, TheFirstLogIsNoNewOne) {
  Reader reader({.partition = 0, .fence = 1, .checkpoint = 10}, router, stats);
  reader.OnEntry({.seq = 11, .payload = "\xff no push", .log = 7, .skipped = 3});
  EXPECT_EQ(reader.Checkpoint().log, 7U);
  EXPECT_EQ(reader.Checkpoint().checkpoint, 11U);
  EXPECT_EQ(stats.new_logs.value(), 0U);
  EXPECT_EQ(stats.skipped.value(), 3U);
}

TEST_F(ReaderTest, WhatIsNoPushIsCountedAndPassed) {
  Reader reader({.partition = 0, .fence = 1, .checkpoint = 0}, router, stats);
  reader.OnEntry({1, "\xff\xff not a push", 0});
  EXPECT_EQ(stats.malformed.value(), 1U);
  EXPECT_EQ(reader.Checkpoint().checkpoint, 1U);
}

TEST_F(ReaderTest, AnEntryThatWasNotRoutedIsNotPassed) {
  Reader reader({.partition = 0, .fence = 1, .checkpoint = 7}, router, stats);
  reader.Close();
  reader.OnEntry({8, ToRoom("a"), 0});
  EXPECT_EQ(reader.Checkpoint().checkpoint, 7U);
  EXPECT_EQ(stats.read.value(), 0U);
}

TEST_F(ReaderTest, ALeaseIsReadFromItsCheckpointAndSaved) {
  Start();
  readers.Gained({.partition = 2, .fence = 5, .checkpoint = 40});
  ASSERT_TRUE(log.WaitOpen(2));
  EXPECT_EQ(log.source(2).from.seq, 41U);
  log.Say(2, 41, ToRoom("a"));
  EXPECT_EQ(world.Receive(), "p2f5: 41");
  world.Ack(41, 2, 5);
  EXPECT_TRUE(WaitSaved(2, 5, 41));
}

TEST_F(ReaderTest, ALostLeaseIsClosedSavedAndForgotten) {
  Start();
  readers.Gained({.partition = 2, .fence = 5, .checkpoint = 40});
  ASSERT_TRUE(log.WaitOpen(2));
  log.Say(2, 41, ToRoom("a"));
  log.Say(2, 42, ToRoom("a"));
  world.Receive();
  world.Ack(41, 2, 5);
  readers.Lost(2);
  EXPECT_FALSE(log.open(2));
  EXPECT_TRUE(WaitSaved(2, 5, 41));
  EXPECT_EQ(router.Oldest(2), std::nullopt);
  readers.Lost(2);  // twice is fine
}

TEST_F(ReaderTest, APartitionThatCannotBeOpenedIsTriedAgain) {
  log.SetDown(true);
  Start();
  readers.Gained({.partition = 2, .fence = 5, .checkpoint = 40});
  ASSERT_TRUE(log.WaitTries(2));
  log.SetDown(false);
  EXPECT_TRUE(log.WaitOpen(2));
}

TEST_F(ReaderTest, DrainReadsNoMoreAndSavesWhatWasAcknowledged) {
  Start();
  readers.Gained({.partition = 2, .fence = 5, .checkpoint = 40});
  ASSERT_TRUE(log.WaitOpen(2));
  log.Say(2, 41, ToRoom("a"));
  world.Receive();
  world.Ack(41, 2, 5);
  readers.Drain(Duration(10'000));
  EXPECT_FALSE(log.open(2));
  EXPECT_TRUE(WaitSaved(2, 5, 41));
  readers.Gained({.partition = 3, .fence = 6, .checkpoint = 0});
  readers.Lost(2);
  EXPECT_FALSE(log.open(3));
}

TEST_F(ReaderTest, DrainDoesNotWaitForEver) {
  Start();
  readers.Gained({.partition = 2, .fence = 5, .checkpoint = 40});
  ASSERT_TRUE(log.WaitOpen(2));
  log.Say(2, 41, ToRoom("a"));
  readers.Drain(Duration(1));
  EXPECT_TRUE(WaitSaved(2, 5, 40));
}

}  // namespace
}  // namespace encke::job

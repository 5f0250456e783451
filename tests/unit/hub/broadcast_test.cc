// Pushes to everybody: the filter, the pace over a clock of our own, and the queues.

#include "hub/broadcast.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "unit/hub/sink.h"

namespace encke::hub {
namespace {

class BroadcastTest : public testing::Test {
 protected:
  void Enter(Slot from, Slot count, std::int32_t op) {
    for (Slot slot = from; slot < from + count; ++slot)
      hub.Enter(slot, Format::kTcp, Key("k"), {op});
  }
  HubOptions Options() {
    HubOptions options;
    options.broadcasts_max = 3;
    options.now_us = [this] { return now_us; };
    return options;
  }
  // What a shard does: flushes, then comes back when the hub says so.  Until `until_us`.
  void Run(std::int64_t until_us) {
    while (now_us < until_us) {
      while (hub.Flush(0)) {
      }
      const std::int64_t pace = hub.NextPaceMs(now_us / 1000);
      if (pace < 0) return;
      now_us += std::max<std::int64_t>(pace, 1) * 1000;
    }
  }
  std::function<void(std::size_t)> Note(const std::string& name) {
    return
        [this, name](std::size_t reached) { done += name + "=" + std::to_string(reached) + " "; };
  }

  std::int64_t now_us = 0;
  RecordingSink sink;
  Hub hub{Options(), sink};
  std::string done;
};

TEST_F(BroadcastTest, ReachesEverybodyWhoAcceptsItInSlices) {
  Enter(0, 100, 1);
  Enter(2000, 50, 2);
  Enter(5000, 50, 1);
  hub.Leave(7);
  EXPECT_EQ(hub.PushAll(1, "x", 0, Note("x")), Pushed::kQueued);
  EXPECT_TRUE(hub.Flush(0));
  EXPECT_EQ(sink.sent.size(), 32U);
  while (hub.Flush(0)) {
  }
  EXPECT_EQ(sink.sent.size(), 149U);
  EXPECT_EQ(done, "x=149 ");
  EXPECT_EQ(hub.counts().deliveries.value(), 149U);
}

TEST_F(BroadcastTest, PaceIsExactAndEven) {
  Enter(0, 5000, 1);
  hub.PushAll(1, "slow", 300, nullptr);
  EXPECT_EQ(hub.NextPaceMs(0), 0);
  for (int second = 1; second <= 10; ++second) {
    const std::size_t before = sink.sent.size();
    Run(second * 1'000'000);
    EXPECT_NEAR(static_cast<double>(sink.sent.size() - before), 300, 2) << "second " << second;
  }
  EXPECT_NEAR(static_cast<double>(sink.sent.size()), 3001, 2);
  Run(17'000'000);
  EXPECT_EQ(sink.sent.size(), 5000U);
  EXPECT_EQ(hub.NextPaceMs(now_us / 1000), -1);
  EXPECT_NEAR(static_cast<double>(now_us), 5000 / 300.0 * 1e6, 5000);
}

TEST_F(BroadcastTest, LessThanOneASecondWorksToo) {
  Enter(0, 3, 1);
  hub.PushAll(1, "drip", 0.5, Note("drip"));
  Run(1'999'000);
  EXPECT_EQ(sink.sent.size(), 1U);
  Run(3'000'000);
  EXPECT_EQ(sink.sent.size(), 2U);
  Run(5'000'000);
  EXPECT_EQ(done, "drip=3 ");
}

TEST_F(BroadcastTest, AStalledShardDoesNotCatchUpInOneBurst) {
  Enter(0, 5000, 1);
  hub.PushAll(1, "x", 1000, nullptr);
  Run(1000);
  now_us += 2'000'000;
  while (hub.Flush(0)) {
  }
  EXPECT_LE(sink.sent.size(), 102U);
}

TEST_F(BroadcastTest, OneAfterTheOtherButAnUnpacedOneOvertakes) {
  Enter(0, 3, 1);
  hub.PushAll(1, "a", 100, Note("a"));
  hub.PushAll(1, "b", 100, Note("b"));
  Run(1000);
  EXPECT_EQ(hub.PushAll(1, "alarm", 0, Note("alarm")), Pushed::kQueued);
  EXPECT_EQ(hub.PushAll(1, "too many", 0, Note("never")), Pushed::kDropped);
  Run(1'000'000);
  EXPECT_EQ(sink.Story(),
            "0 <- 1:a\n0 <- 1:alarm\n1 <- 1:alarm\n2 <- 1:alarm\n1 <- 1:a\n2 <- 1:a\n"
            "0 <- 1:b\n1 <- 1:b\n2 <- 1:b\n");
  EXPECT_EQ(done, "alarm=3 a=3 b=3 ");
}

TEST_F(BroadcastTest, ABigBroadcastDoesNotHoldUpARoom) {
  Enter(0, 1000, 1);
  hub.Join(999, RoomId("r"));
  hub.PushAll(1, "x", 0, nullptr);
  hub.Flush(0);
  hub.PushRoom("r", 1, "quick");
  hub.Flush(0);
  EXPECT_NE(sink.Story().find("999 <- 1:quick\n"), std::string::npos);
}

TEST_F(BroadcastTest, ChannelsMayLeaveMeanwhileAndANewBroadcastMayBeginAtTheEnd) {
  Enter(0, 10, 1);
  sink.on_send = [this](Slot slot) {
    if (slot == 0 && hub.Has(1)) hub.Leave(1);
    if (slot == 2) hub.Leave(2);
  };
  hub.PushAll(1, "x", 0, [this](std::size_t) { hub.PushAll(1, "y", 0, Note("y")); });
  while (hub.Flush(0)) {
  }
  EXPECT_EQ(done, "y=8 ");
  EXPECT_EQ(sink.sent.size(), 17U);
}

}  // namespace
}  // namespace encke::hub

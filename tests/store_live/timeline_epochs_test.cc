// When the numbers of a timeline mean something else than before, and how its readers can tell.
#include <gmock/gmock.h>

#include "store_live/timelines_live.h"

namespace encke::store {
namespace {

using test::Await;
using ::testing::ElementsAre;

constexpr std::uint64_t kDayUs = 86'400'000'000;

class TimelineEpochs : public TimelinesLive {
 protected:
  explicit TimelineEpochs(bool append_only = false) : TimelinesLive(append_only) {}
  // These data have been whole for so long.
  void WholeSince(std::uint64_t ago_us) {
    Head("r://any");
    Call({"HINCRBY", "tlw", "b", "-" + std::to_string(ago_us)});
  }
  void Restart() {
    server_.Kill();
    server_.Start();
    Result<Reply> ping = Error{};
    do {
      Await<Result<Reply>> answer;
      redis_.Call({"PING"}, answer.Callback());
      ping = answer.Get();
    } while (!ping);
  }
};

TEST_F(TimelineEpochs, NumberOneFollowsNumberZeroOfTheSameEpoch) {
  const TimelineHead empty = Head("r://1");
  EXPECT_GT(empty.epoch, 1'000'000'000'000'000u);
  EXPECT_EQ(empty.newest, 0u);
  EXPECT_EQ(empty.oldest, 0u);
  EXPECT_EQ(Head("r://1").epoch, empty.epoch);
  EXPECT_EQ(Read("r://1", {}).head.epoch, empty.epoch);
  const auto first = Append("r://1", "a", "one");
  EXPECT_EQ(first.epoch, empty.epoch);
  EXPECT_EQ(first.seq, 1u);
  EXPECT_EQ(timelines_.counts().epochs.value(), 1u);
}

TEST_F(TimelineEpochs, WhereNothingIsSaidNothingIsWritten) {
  for (int i = 0; i < 100; ++i)
    Head("r://" + std::to_string(i));
  EXPECT_EQ(Call({"DBSIZE"}).integer, 1);
  EXPECT_EQ(Call({"EXISTS", "tlw"}).integer, 1);
}

// So that no epoch is that of two lives of a timeline: a meta lives two days at least.
TEST_F(TimelineEpochs, AnEmptyTimelineHasTheEpochOfItsDay) {
  WholeSince(10 * kDayUs);
  const auto now_us = static_cast<std::uint64_t>(Append("r://now", "a", "p").time_ms) * 1000;
  const TimelineHead today = Read("r://1", {}).head;
  EXPECT_LE(today.epoch, now_us + 1'000'000);
  EXPECT_GT(today.epoch, now_us - kDayUs - 1'000'000);
  EXPECT_NE(today.epoch, Read("r://2", {}).head.epoch);  // not everybody's at the same moment
  const std::uint64_t yesterday = today.epoch - kDayUs;
  EXPECT_TRUE(today.Continues(today.epoch, 0));
  EXPECT_TRUE(today.Continues(yesterday, 0));
  EXPECT_FALSE(today.Continues(yesterday, 1));
  EXPECT_FALSE(today.Continues(yesterday - kDayUs, 0));  // it may have begun and expired since
  EXPECT_EQ(Append("r://1", "a", "one").epoch, today.epoch);
  EXPECT_GT(Call({"PTTL", "tlm:r://1"}).integer, 2 * kDay.count() - 60'000);
  const TimelineHead born = Read("r://1", {}).head;
  EXPECT_TRUE(born.Continues(yesterday, 0));
  EXPECT_FALSE(born.Continues(yesterday - kDayUs, 0));
}

TEST_F(TimelineEpochs, TheFirstDayHasNoDayBefore) {
  const TimelineHead head = Read("r://1", {}).head;
  EXPECT_EQ(head.shared, "");
  EXPECT_EQ(head.epoch, static_cast<std::uint64_t>(std::stoll(Call({"HGET", "tlw", "b"}).text)));
  EXPECT_FALSE(head.Continues(head.epoch - kDayUs, 0));
}

TEST_F(TimelineEpochs, NumberZeroOfAnInboxMayBeAcknowledged) {
  EXPECT_TRUE(Acknowledge("phone", Head("user://1").epoch, 0));
  EXPECT_EQ(Acknowledge("phone", Head("user://1").epoch, 1).error().code, Errc::kConflict);
}

TEST_F(TimelineEpochs, AnEmptiedRedisBeginsAnotherEpoch) {
  const auto before = Append("r://1", "a", "one");
  Call({"FLUSHALL"});
  EXPECT_GT(Head("r://1").epoch, before.epoch);
  EXPECT_EQ(Head("r://1").newest, 0u);
  EXPECT_TRUE(Read("r://1", {}).entries.empty());
  const auto after = Append("r://1", "b", "two");
  EXPECT_GT(after.epoch, before.epoch);
  EXPECT_EQ(after.seq, 1u);
  EXPECT_EQ(timelines_.counts().epochs.value(), 2u);
}

TEST_F(TimelineEpochs, ALostMetaDropsTheEntries) {
  const auto before = Append("r://1", "a", "one");
  Call({"DEL", "tlm:r://1"});
  const auto after = Append("r://1", "b", "two");
  EXPECT_GT(after.epoch, before.epoch);
  EXPECT_EQ(after.seq, 1u);
  EXPECT_EQ(Call({"XLEN", "tl:r://1"}).integer, 1);
}

TEST_F(TimelineEpochs, AStreamAheadOfItsMetaBeginsAnew) {
  const auto before = Append("r://1", "a", "one");
  Call({"XADD", "tl:r://1", "9-0", "p", "x", "t", "1", "i", "z"});
  const auto after = Append("r://1", "b", "two");
  EXPECT_GT(after.epoch, before.epoch);
  EXPECT_EQ(after.seq, 1u);
  EXPECT_EQ(Call({"XLEN", "tl:r://1"}).integer, 1);
}

class TimelineEpochsKept : public TimelineEpochs {
 protected:
  TimelineEpochsKept() : TimelineEpochs(/*append_only=*/true) {}
};

// Its tail may be lost: the numbers cannot be trusted, what is there can.
TEST_F(TimelineEpochsKept, AnotherServerProcessIsAnotherEpochButKeepsTheEntries) {
  const auto before = Append("r://1", "a", "one");
  Restart();
  EXPECT_EQ(Head("r://1").epoch, before.epoch);  // nobody said anything since
  const auto after = Append("r://1", "b", "two");
  EXPECT_GT(after.epoch, before.epoch);
  EXPECT_EQ(after.seq, 2u);
  EXPECT_EQ(Append("r://1", "c", "three").epoch, after.epoch);
  const TimelineHead head = Read("r://1", {}).head;
  EXPECT_EQ(head.SharedWith(before.epoch), 1u);  // nobody need read "one" again
  EXPECT_EQ(head.SharedWith(before.epoch - 1), std::nullopt);
  EXPECT_THAT(Numbers("r://1"), ElementsAre(1, 2, 3));
}

// A push that began the timeline may be in the lost tail.
TEST_F(TimelineEpochsKept, AnotherServerProcessIsAnotherEpochOfEmptyTimelinesToo) {
  const std::uint64_t before = Head("r://1").epoch;
  Restart();
  const TimelineHead after = Read("r://1", {}).head;
  EXPECT_GT(after.epoch, before);
  EXPECT_FALSE(after.Continues(before, 0));
  EXPECT_EQ(Append("r://1", "a", "one").epoch, after.epoch);
}

TEST_F(TimelineEpochsKept, AnotherServerProcessCannotTellWhatFollowedNumberZero) {
  WholeSince(10 * kDayUs);
  const auto born = Append("r://1", "a", "one");
  const std::uint64_t yesterday = born.epoch - kDayUs;
  EXPECT_TRUE(Read("r://1", {}).head.Continues(yesterday, 0));
  Restart();
  Append("r://1", "b", "two");
  const TimelineHead head = Read("r://1", {}).head;
  EXPECT_EQ(head.SharedWith(born.epoch), 1u);
  EXPECT_FALSE(head.Continues(yesterday, 0));
}

}  // namespace
}  // namespace encke::store

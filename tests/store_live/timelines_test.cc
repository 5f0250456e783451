#include <gmock/gmock.h>

#include "store/reports.h"
#include "store_live/timelines_live.h"

namespace encke::store {
namespace {

using test::Await;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST_F(TimelinesLive, NumbersAreDenseAndOrdered) {
  const auto first = Append("live://1", "a", "one");
  const auto second = Append("live://1", "b", "two");
  const auto other = Append("live://2", "c", "else");
  EXPECT_EQ(first.seq, 1u);
  EXPECT_EQ(second.seq, 2u);
  EXPECT_EQ(other.seq, 1u);
  EXPECT_EQ(first.epoch, second.epoch);
  EXPECT_GT(first.epoch, 1'000'000'000'000'000u);  // microseconds of this century
  const auto page = Read("live://1", {});
  ASSERT_EQ(page.entries.size(), 2u);
  EXPECT_EQ(page.entries[0].payload, "one");
  EXPECT_EQ(page.entries[0].id, "a");
  EXPECT_EQ(page.entries[0].time_ms, first.time_ms);
  EXPECT_EQ(page.entries[1].payload, "two");
  EXPECT_FALSE(page.more);
  EXPECT_EQ(page.head.newest, 2u);
  EXPECT_EQ(page.head.oldest, 1u);
}

TEST_F(TimelinesLive, ManyAtOnceKeepTheOrderOfTheCalls) {
  std::vector<std::unique_ptr<Await<Result<Timelines::Appended>>>> answers;
  for (int i = 0; i < 500; ++i) {
    answers.push_back(std::make_unique<Await<Result<Timelines::Appended>>>());
    timelines_.Append({"r://1", "id" + std::to_string(i), "p", {}, false},
                      answers.back()->Callback());
  }
  for (std::uint64_t i = 0; i < 500; ++i)
    EXPECT_EQ(answers[i]->Get()->seq, i + 1);
}

TEST_F(TimelinesLive, ARetryIsStoredOnce) {
  const auto first = Append("r://1", "a", "one");
  for (int i = 0; i < 100; ++i)
    Append("r://1", "x" + std::to_string(i), "later");
  const auto again = Append("r://1", "a", "one", {}, /*retry=*/true);
  EXPECT_TRUE(again.duplicate);
  EXPECT_EQ(again.seq, first.seq);
  EXPECT_EQ(again.epoch, first.epoch);
  EXPECT_EQ(again.time_ms, first.time_ms);
  EXPECT_EQ(Head("r://1").newest, 101u);
  const auto fresh = Append("r://1", "y", "two", {}, /*retry=*/true);  // it never arrived
  EXPECT_FALSE(fresh.duplicate);
  EXPECT_EQ(fresh.seq, 102u);
}

TEST_F(TimelinesLive, ARetryIsNotLookedForBeyondFiveMinutes) {
  Append("r://1", "a", "one");
  Append("r://1", "b", "two");
  Age("r://1", 2, Timelines::kRetryWindow.count() + 1000);
  EXPECT_FALSE(Append("r://1", "a", "one", {}, /*retry=*/true).duplicate);
}

TEST_F(TimelinesLive, LengthIsExact) {
  const TimelineLimits limits{.messages = 10, .age = kDay, .bytes = 1 << 20};
  for (int i = 0; i < 25; ++i)
    Append("r://1", std::to_string(i), "p", limits);
  EXPECT_EQ(Call({"XLEN", "tl:r://1"}).integer, 10);
  EXPECT_EQ(Head("r://1").oldest, 16u);
  EXPECT_EQ(timelines_.counts().trimmed.value(), 15u);
  const TimelineLimits fewer{.messages = 3, .age = kDay, .bytes = 1 << 20};
  Append("r://1", "last", "p", fewer);
  EXPECT_THAT(Numbers("r://1"), ElementsAre(24, 25, 26));
  EXPECT_EQ(Call({"HGET", "tlm:r://1", "b"}).text, "3");
}

TEST_F(TimelinesLive, BytesAreBoundedButTheNewestStays) {
  const TimelineLimits limits{.messages = 1000, .age = kDay, .bytes = 1000};
  for (int i = 0; i < 50; ++i)
    Append("r://1", std::to_string(i), std::string(300, 'x'), limits);
  EXPECT_THAT(Numbers("r://1"), ElementsAre(48, 49, 50));
  EXPECT_EQ(Call({"HGET", "tlm:r://1", "b"}).text, "900");
  Append("r://1", "big", std::string(5000, 'x'), limits);
  EXPECT_THAT(Numbers("r://1"), ElementsAre(51));
}

TEST_F(TimelinesLive, AgedEntriesAreNotReadAndLeave) {
  const TimelineLimits limits{.messages = 100, .age = Duration(60'000), .bytes = 1 << 20};
  for (int i = 0; i < 5; ++i)
    Append("r://1", std::to_string(i), "p", limits);
  Age("r://1", 3, 61'000);
  EXPECT_EQ(Head("r://1", "", limits.age).oldest, 4u);
  EXPECT_EQ(Read("r://1", {}, limits.age).entries.size(), 2u);
  EXPECT_EQ(Call({"XLEN", "tl:r://1"}).integer, 5);  // reading wrote nothing
  Append("r://1", "new", "p", limits);
  EXPECT_EQ(Call({"XLEN", "tl:r://1"}).integer, 3);
  EXPECT_GT(Call({"PTTL", "tl:r://1"}).integer, 50'000);
  EXPECT_LE(Call({"PTTL", "tl:r://1"}).integer, 60'000);
  EXPECT_GT(Call({"PTTL", "tlm:r://1"}).integer, kDay.count());
}

TEST_F(TimelinesLive, AnExpiredStreamGoesOnCounting) {
  const auto before = Append("r://1", "a", std::string(100, 'x'));
  Call({"DEL", "tl:r://1"});  // what its TTL does
  EXPECT_EQ(Head("r://1").newest, 1u);
  EXPECT_EQ(Head("r://1").oldest, 0u);
  const auto after = Append("r://1", "b", "two");
  EXPECT_EQ(after.epoch, before.epoch);
  EXPECT_EQ(after.seq, 2u);
  EXPECT_EQ(Call({"HGET", "tlm:r://1", "b"}).text, "3");
}

TEST_F(TimelinesLive, PagesGoBothWays) {
  for (int i = 1; i <= 200; ++i)
    Append("r://1", std::to_string(i), "p");
  EXPECT_THAT(Numbers("r://1", {.after = 197}), ElementsAre(198, 199, 200));
  EXPECT_THAT(Numbers("r://1", {.after = 5, .limit = 3}), ElementsAre(6, 7, 8));
  EXPECT_THAT(Numbers("r://1", {.before = 10, .limit = 3, .newest_first = true}),
              ElementsAre(9, 8, 7));
  EXPECT_THAT(Numbers("r://1", {.after = 5, .before = 8}), ElementsAre(6, 7));
  EXPECT_THAT(Numbers("r://1", {.after = 200}), IsEmpty());
  EXPECT_THAT(Numbers("r://1", {.after = 7, .before = 8}), IsEmpty());
  EXPECT_EQ(Numbers("r://1", {}).size(), 200u);
  EXPECT_TRUE(Read("r://1", {.after = 5, .limit = 194}).more);
  EXPECT_FALSE(Read("r://1", {.after = 5, .limit = 195}).more);
  EXPECT_TRUE(Read("r://1", {.limit = 64}).more);
  EXPECT_EQ(Read("r://1", {.limit = 128}).entries.size(), 128u);
  EXPECT_EQ(Read("r://1", {.after = 300}).head.newest, 200u);
}

TEST_F(TimelinesLive, APageIsBoundedInBytes) {
  const TimelineLimits limits{.messages = 100, .age = kDay, .bytes = 64 << 20};
  for (int i = 0; i < 5; ++i)
    Append("r://1", std::to_string(i), std::string(Timelines::kPageBytes / 2, 'x'), limits);
  const auto page = Read("r://1", {});
  EXPECT_EQ(page.entries.size(), 2u);
  EXPECT_TRUE(page.more);
  Append("r://2", "huge", std::string(2 * Timelines::kPageBytes, 'x'), limits);
  EXPECT_EQ(Read("r://2", {}).entries.size(), 1u);
}

TEST_F(TimelinesLive, ATimeIsFoundByHalving) {
  for (int i = 1; i <= 100; ++i)
    Append("r://1", std::to_string(i), "p");
  Age("r://1", 100, 1000);
  Age("r://1", 60, 100'000);
  Age("r://1", 20, 100'000);
  const auto page = Read("r://1", {});
  EXPECT_EQ(FindTime("r://1", page.entries[99].time_ms + 1), 100u);
  EXPECT_EQ(FindTime("r://1", page.entries[59].time_ms + 1), 60u);
  EXPECT_EQ(FindTime("r://1", page.entries[19].time_ms + 1), 20u);
  EXPECT_EQ(FindTime("r://1", 1), 0u);
  EXPECT_EQ(FindTime("r://none", 1), 0u);
}

TEST_F(TimelinesLive, WhatEveryDeviceHasLeaves) {
  std::uint64_t epoch = 0;
  for (int i = 1; i <= 5; ++i)
    epoch = Append("user://1", std::to_string(i), "p").epoch;
  Head("user://1", "phone");
  Head("user://1", "tablet");
  EXPECT_TRUE(Acknowledge("phone", epoch, 3));
  EXPECT_EQ(Head("user://1", "phone").cursor, 3u);
  EXPECT_EQ(Head("user://1", "tablet").cursor, 0u);
  EXPECT_EQ(Head("user://1").oldest, 1u);  // the tablet has nothing yet
  EXPECT_TRUE(Acknowledge("tablet", epoch, 2));
  EXPECT_EQ(Head("user://1").oldest, 3u);
  EXPECT_TRUE(Acknowledge("tablet", epoch, 1));  // never back
  EXPECT_EQ(Head("user://1", "tablet").cursor, 2u);
  EXPECT_TRUE(Acknowledge("tablet", epoch, 5));
  EXPECT_EQ(Head("user://1").oldest, 4u);
  EXPECT_TRUE(Acknowledge("phone", epoch, 99));  // no further than there is
  EXPECT_EQ(Head("user://1", "phone").cursor, 5u);
  EXPECT_EQ(Head("user://1").oldest, 0u);
  EXPECT_EQ(Append("user://1", "6", "p").seq, 6u);
  const auto again = Append("user://1", "5", "p", {}, /*retry=*/true);  // it has left, but not long
  EXPECT_TRUE(again.duplicate);
  EXPECT_EQ(again.seq, 5u);
}

TEST_F(TimelinesLive, WhoAcknowledgesIsCountedInTheReportOncePerDevice) {
  Reports reports(redis_);
  const auto told = [&reports](const std::string& id) {
    Await<Result<Reports::Sums>> answer;
    reports.Read(id, answer.Callback());
    return *answer.Get();
  };
  const auto append = [this](const std::string& id, bool report, bool retry = false) {
    Await<Result<Timelines::Appended>> answer;
    timelines_.Append({"user://1", id, "p", {}, retry, report}, answer.Callback());
    return answer.Get()->epoch;
  };
  using Sums = Reports::Sums;
  std::uint64_t epoch = 0;
  Head("user://1", "tablet");  // else the phone's word would take the entries away
  for (int i = 1; i <= 250; ++i)
    epoch = append("p" + std::to_string(i), i == 1 || i == 205 || i == 210);
  append("p205", true, /*retry=*/true);
  EXPECT_EQ(told("p205"), (Sums{{"kept", 1}}));
  EXPECT_TRUE(Acknowledge("phone", epoch, 1));
  EXPECT_EQ(told("p1"), (Sums{{"acknowledged", 1}, {"kept", 1}}));
  for (const std::uint64_t seq : {207U, 207U, 3U})
    EXPECT_TRUE(Acknowledge("phone", epoch, seq));
  EXPECT_TRUE(Acknowledge("tablet", epoch, 250));
  EXPECT_EQ(told("p1"), (Sums{{"acknowledged", 2}, {"kept", 1}}));
  EXPECT_EQ(told("p205"), (Sums{{"acknowledged", 2}, {"kept", 1}}));
  EXPECT_EQ(told("p210"), (Sums{{"acknowledged", 1}, {"kept", 1}}));
  EXPECT_EQ(told("p2"), Sums());
}

TEST_F(TimelinesLive, ACursorOfAnotherEpochIsRefused) {
  const auto first = Append("user://1", "1", "p");
  EXPECT_EQ(Acknowledge("phone", first.epoch + 1, 1).error().code, Errc::kConflict);
  EXPECT_TRUE(Acknowledge("phone", first.epoch, 1));
  Call({"DEL", "tlm:user://1", "tl:user://1", "tlw"});
  const auto second = Append("user://1", "2", "p");
  EXPECT_GT(second.epoch, first.epoch);
  EXPECT_EQ(Head("user://1", "phone").cursor, 0u);
}

TEST_F(TimelinesLive, DevicesLongGoneHoldNothingBack) {
  const auto epoch = Append("user://1", "1", "p").epoch;
  Call({"HSET", "tlc:user://1", "old", std::to_string(epoch) + " 0 1000"});
  EXPECT_TRUE(Acknowledge("phone", epoch, 1));
  EXPECT_EQ(Head("user://1").oldest, 0u);
  EXPECT_EQ(Call({"HEXISTS", "tlc:user://1", "old"}).integer, 0);
}

TEST_F(TimelinesLive, DevicesAreBounded) {
  Append("user://1", "1", "p");
  Head("user://1", "first");
  Call({"HSET", "tlc:user://1", "first", "0 0 1000"});
  for (int i = 0; i < Timelines::kDevicesMax + 5; ++i)
    Head("user://1", "d" + std::to_string(i));
  EXPECT_EQ(Call({"HLEN", "tlc:user://1"}).integer, Timelines::kDevicesMax);
  EXPECT_EQ(Call({"HEXISTS", "tlc:user://1", "first"}).integer, 0);
}

TEST_F(TimelinesLive, APurgeForgetsAndGoesOnCounting) {
  for (int i = 1; i <= 5; ++i)
    Append("r://1", std::to_string(i), "p");
  Await<Status> some;
  timelines_.Purge("r://1", 2, some.Callback());
  ASSERT_TRUE(some.Get());
  EXPECT_THAT(Numbers("r://1"), ElementsAre(3, 4, 5));
  Await<Status> all;
  timelines_.Purge("r://1", 0, all.Callback());
  ASSERT_TRUE(all.Get());
  EXPECT_THAT(Numbers("r://1"), IsEmpty());
  EXPECT_EQ(Append("r://1", "6", "p").seq, 6u);
}

// What a timeline costs, so that nobody makes it much dearer without noticing.
TEST_F(TimelinesLive, MemoryIsWhatWasSaidAndLittleMore) {
  const TimelineLimits limits{.messages = 200, .age = kDay, .bytes = 1 << 20};
  for (int i = 0; i < 1000; ++i)
    Append("r://1", "0123456789abcdef0123456789abcdef", std::string(100, 'x'), limits);
  const auto bytes = Call({"MEMORY", "USAGE", "tl:r://1", "SAMPLES", "0"}).integer;
  EXPECT_LT(bytes, 200 * 230);
  EXPECT_LT(Call({"MEMORY", "USAGE", "tlm:r://1"}).integer, 300);
}

}  // namespace
}  // namespace encke::store

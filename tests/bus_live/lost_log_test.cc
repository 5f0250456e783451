// A log that is not what it was: cut before its reader, or lost and made anew.

#include <atomic>

#include "bus_live/push_log.h"

namespace encke::bus {
namespace {

class LostLogLive : public PushLogLive {};

TEST_F(LostLogLive, WhatIsGoneIsSkippedAndCounted) {
  LogOptions brief = Log();
  brief.max_age = Duration(1000);
  EnsureLog(brief);
  Publisher publisher(*nats_, brief, {});
  for (int i = 0; i < 7; ++i)
    Store(publisher, 0, std::to_string(i));
  std::this_thread::sleep_for(std::chrono::milliseconds(2100));
  Store(publisher, 0, "left");
  Read read;
  const auto reader = Open(0, 3, read);
  ASSERT_TRUE(Eventually([&] { return read.count() == 1; }));
  EXPECT_EQ(read.all()[0].second, "body of left");
  EXPECT_EQ(reader->skipped(), 5u);  // 3 to 7
}

TEST_F(LostLogLive, WhatGoesWhileTheReaderIsBusyIsSkippedAndCountedAtOnce) {
  LogOptions brief = Log();
  brief.max_age = Duration(1000);
  EnsureLog(brief);
  Publisher publisher(*nats_, brief, {});
  Answers answers;
  for (int i = 0; i < 600; ++i)  // more than a reader is sent ahead
    publisher.Publish(0, std::to_string(i), "x", answers.For(std::to_string(i)));
  ASSERT_TRUE(Eventually([&] { return answers.count() == 600; }));
  std::atomic<bool> blocked{true};
  std::atomic<std::uint64_t> told{0};
  Read read;
  auto reader = PartitionReader::Open(*nats_, brief, 0, {}, [&](const LogMessage& m) {
    told += m.skipped;
    read.Each()(m);
    while (blocked)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
  });
  ASSERT_TRUE(reader);
  std::this_thread::sleep_for(std::chrono::milliseconds(2500));
  Store(publisher, 0, "left");
  blocked = false;
  ASSERT_TRUE(Eventually([&] { return read.count() > 0 && read.all().back().second != "x"; }));
  EXPECT_GT(told, 300u);
  EXPECT_EQ(told + read.count(), 601u);
  EXPECT_EQ((*reader)->skipped(), told);
}

TEST_F(LostLogLive, AServerThatLostEverythingIsReadFromItsBeginning) {
  Publisher publisher(*nats_, Log(), {});
  Guarded<std::vector<std::pair<std::uint64_t, std::uint64_t>>> seen;
  auto reader = PartitionReader::Open(*nats_, Log(), 0, {}, [&](const LogMessage& m) {
    seen.With([&](auto& all) { all.emplace_back(m.log, m.seq); });
  });
  ASSERT_TRUE(reader);
  const auto seen_now = [&] { return seen.With([](auto& all) { return all; }); };
  for (int i = 0; i < 3; ++i)
    Store(publisher, 0, std::to_string(i));
  ASSERT_TRUE(Eventually([&] { return seen_now().size() == 3; }));
  server_.Kill();
  server_.Wipe();
  server_.Start();
  // More than were read: the place alone would not tell.  The stream is made again by nobody else.
  for (int stored = 0; stored < 5;) {
    Answers answers;
    publisher.Publish(0, "new " + std::to_string(stored), "y", answers.For("y"));
    ASSERT_TRUE(Eventually([&] { return answers.count() == 1; }));
    if (answers.Take()["y"].at(0)) ++stored;
  }
  ASSERT_TRUE(Eventually([&] { return seen_now().size() == 8; }));
  const auto all = seen_now();
  EXPECT_GT(all[3].first, all[2].first);
  EXPECT_EQ(all[3].second, LastPlace(1));
  EXPECT_EQ(all[7].second, LastPlace(5));
  EXPECT_EQ(all[7].first, all[3].first);
}

}  // namespace
}  // namespace encke::bus

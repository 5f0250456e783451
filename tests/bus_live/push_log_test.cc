#include "bus_live/push_log.h"

#include <algorithm>
#include <atomic>
#include <map>

namespace encke::bus {
namespace {

TEST_F(PushLogLive, StoresAndKnowsRepeats) {
  Publisher publisher(*nats_, Log(), {});
  const auto first = PublishOne(publisher, 0, "a");
  const auto again = PublishOne(publisher, 0, "a");
  const auto second = PublishOne(publisher, 1, "b");
  ASSERT_TRUE(first && again && second);
  EXPECT_EQ(*first, 1u);
  EXPECT_EQ(*again, 1u);
  EXPECT_EQ(*second, 2u);
  EXPECT_EQ(publisher.counts().duplicates.value(), 1u);
  EXPECT_EQ(publisher.counts().published.value(), 3u);
  EXPECT_EQ(publisher.in_flight(), 0u);
}

TEST_F(PushLogLive, AReaderSeesItsPartitionInOrderFromWhereItWants) {
  Publisher publisher(*nats_, Log(), {});
  for (int i = 1; i <= 9; ++i)
    Store(publisher, i % 3, std::to_string(i));
  Read read;
  const auto reader = Open(1, 3, read);
  ASSERT_TRUE(Eventually([&] { return read.count() == 2; }));
  Store(publisher, 1, "late");
  ASSERT_TRUE(Eventually([&] { return read.count() == 3; }));
  const auto all = read.all();
  EXPECT_EQ(all[0], (std::pair<std::uint64_t, std::string>(4, "body of 4")));
  EXPECT_EQ(all[1].first, 7u);
  EXPECT_EQ(all[2], (std::pair<std::uint64_t, std::string>(10, "body of late")));
  EXPECT_EQ(reader->skipped(), 0u);
  EXPECT_EQ(reader->restarts(), 0u);
}

TEST_F(PushLogLive, ABundleIsReadPushByPushFromAnyPlace) {
  Publisher publisher(*nats_, Log(), {});
  Answers answers;
  publisher.Publish(0, "a", Bundle({"x", "y", "z"}).at(0), answers.For("a"));
  ASSERT_TRUE(Eventually([&] { return answers.count() == 1; }));
  Store(publisher, 0, "b");
  Guarded<std::vector<std::pair<std::uint64_t, std::string>>> seen;
  const auto each = [&](const LogMessage& m) {
    seen.With([&](auto& all) { all.emplace_back(m.seq, std::string(m.payload)); });
  };
  const auto from = [&](std::uint64_t place, std::size_t count) {
    seen.With([](auto& all) { all.clear(); });
    const auto reader = PartitionReader::Open(*nats_, Log(), 0, {place}, each);
    EXPECT_TRUE(
        Eventually([&] { return seen.With([](auto& all) { return all.size(); }) == count; }));
    return seen.With([](auto& all) { return all; });
  };
  const auto all = from(0, 4);
  EXPECT_EQ(all[0].second, "x");
  EXPECT_EQ(all[2], (std::pair<std::uint64_t, std::string>(LastPlace(1), "z")));
  EXPECT_EQ(all[3].second, "body of b");
  EXPECT_EQ(from(all[0].first + 1, 3)[0], all[1]);
  EXPECT_EQ(from(all[2].first + 1, 1)[0], all[3]);
}

TEST_F(PushLogLive, AReaderTellsItsLag) {
  Publisher publisher(*nats_, Log(), {});
  for (int i = 0; i < 5; ++i)
    Store(publisher, 0, std::to_string(i));
  Guarded<std::vector<std::uint64_t>> pending;
  auto reader = PartitionReader::Open(*nats_, Log(), 0, {}, [&](const LogMessage& m) {
    pending.With([&](auto& all) { all.push_back(m.pending); });
  });
  ASSERT_TRUE(reader);
  ASSERT_TRUE(Eventually([&] { return pending.With([](auto& all) { return all.size() == 5; }); }));
  EXPECT_EQ(pending.With([](auto& all) { return all; }),
            (std::vector<std::uint64_t>{4, 3, 2, 1, 0}));
}

TEST_F(PushLogLive, ManyAtOnceAllArriveAndASlowReaderIsBackPressure) {
  Publisher publisher(*nats_, Log(), {});
  Answers answers;
  Read read;
  std::atomic<bool> blocked{true};
  auto reader = PartitionReader::Open(*nats_, Log(), 2, {}, [&](const LogMessage& m) {
    while (blocked)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    read.Each()(m);
  });
  ASSERT_TRUE(reader);
  const int kMany = 20'000;
  for (int i = 0; i < kMany; ++i) {
    while (publisher.in_flight() > 8000)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    publisher.Publish(2, std::to_string(i), std::to_string(i), answers.For(std::to_string(i)));
  }
  ASSERT_TRUE(Eventually([&] { return answers.count() == kMany; }));
  EXPECT_EQ(publisher.counts().failed.value(), 0u);
  blocked = false;
  ASSERT_TRUE(Eventually([&] { return read.count() == kMany; }));
  const auto all = read.all();
  for (int i = 0; i < kMany; ++i)
    ASSERT_EQ(all[static_cast<std::size_t>(i)].second, std::to_string(i));
}

TEST_F(PushLogLive, PastTheBoundIsOverload) {
  PublisherOptions options;
  options.in_flight_max = 10;
  Publisher publisher(*nats_, Log(), options);
  Answers answers;
  server_.Freeze();
  for (int i = 0; i < 15; ++i)
    publisher.Publish(0, std::to_string(i), "x", answers.For(std::to_string(i)));
  EXPECT_EQ(publisher.in_flight(), 10u);
  EXPECT_EQ(answers.count(), 5u);
  server_.Thaw();
  ASSERT_TRUE(Eventually([&] { return answers.count() == 15; }));
  for (const auto& [id, all] : answers.Take()) {
    ASSERT_EQ(all.size(), 1u) << id;
    EXPECT_EQ(static_cast<bool>(all[0]), std::stoi(id) < 10) << id;
    if (!all[0]) {
      EXPECT_EQ(all[0].error().code, Errc::kOverloaded);
    }
  }
}

TEST_F(PushLogLive, AFullLogIsAnErrorAndLosesNothing) {
  LogOptions small = Log();
  small.max_bytes = 20'000;
  EnsureLog(small);
  Publisher publisher(*nats_, small, {});
  int stored = 0;
  Result<std::uint64_t> last = std::uint64_t{0};
  for (int i = 0; i < 500 && last; ++i) {
    last = PublishOne(publisher, 0, "filling" + std::to_string(i));
    if (last) ++stored;
  }
  ASSERT_FALSE(last);
  EXPECT_EQ(last.error().code, Errc::kUnavailable);
  EXPECT_NE(last.error().text.find("maximum bytes"), std::string::npos) << last.error().text;
  Read read;
  const auto reader = Open(0, 1, read);
  EXPECT_TRUE(Eventually([&] { return read.count() == static_cast<std::size_t>(stored); }));
  EXPECT_EQ(read.all().front().second, "body of filling0");
}

TEST_F(PushLogLive, WithoutALogOrAServerPublishingFailsAtOnce) {
  LogOptions none = Log();
  none.subject = "encke.nobody";
  Publisher stray(*nats_, none, {});
  const std::int64_t started_ms = MonotonicMs();
  const auto nobody = PublishOne(stray, 0, "a");
  ASSERT_FALSE(nobody);
  EXPECT_EQ(nobody.error().code, Errc::kUnavailable);
  server_.Kill();
  ASSERT_TRUE(Eventually([&] { return !nats_->connected(); }));
  const auto away = PublishOne(stray, 0, "b");
  ASSERT_FALSE(away);
  EXPECT_EQ(away.error().code, Errc::kUnavailable);
  EXPECT_LT(MonotonicMs() - started_ms, 1500);
}

TEST_F(PushLogLive, AnUnansweredPublishIsRetriedOnceAndThenATimeout) {
  PublisherOptions options;
  options.ack_timeout = Duration(300);
  Publisher publisher(*nats_, Log(), options);
  server_.Freeze();
  const auto answer = PublishOne(publisher, 0, "lost");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::kTimeout);
  EXPECT_EQ(publisher.counts().retried.value(), 1u);
  server_.Thaw();  // both attempts are stored as one
  const auto next = PublishOne(publisher, 0, "next");
  ASSERT_TRUE(next);
  EXPECT_EQ(*next, 2u);
}

TEST_F(PushLogLive, ThePublisherAnswersForEverythingBeforeItGoes) {
  PublisherOptions options;
  options.ack_timeout = Duration(200);
  Answers answers;
  server_.Freeze();
  {
    Publisher publisher(*nats_, Log(), options);
    for (int i = 0; i < 20; ++i)
      publisher.Publish(0, std::to_string(i), "x", answers.For(std::to_string(i)));
  }
  EXPECT_EQ(answers.count(), 20u);
  server_.Thaw();
}

TEST_F(PushLogLive, AKilledServerLosesNoAcceptedPushAndRepeatsNone) {
  PublisherOptions options;
  options.ack_timeout = Duration(1000);
  auto publisher = std::make_unique<Publisher>(*nats_, Log(), options);
  Answers answers;
  Read read;
  auto reader = Open(3, 1, read);
  std::atomic<bool> enough{false};
  std::atomic<int> sent{0};
  std::thread sender([&] {
    while (!enough) {
      const std::string id = std::to_string(sent++);
      publisher->Publish(3, id, id, answers.For(id));
      if (sent % 20 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  for (int round = 0; round < 2; ++round) {
    const std::size_t before = read.count();
    EXPECT_TRUE(Eventually([&] { return read.count() > before + 1000; }));
    server_.Kill();
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    server_.Start();
  }
  const std::size_t before = read.count();
  EXPECT_TRUE(Eventually([&] { return read.count() > before + 1000; }));
  enough = true;
  sender.join();
  publisher.reset();
  EXPECT_EQ(answers.count(), static_cast<std::size_t>(sent));

  std::map<std::uint64_t, std::string> accepted;
  for (const auto& [id, all] : answers.Take()) {
    ASSERT_EQ(all.size(), 1u) << id;
    if (all[0]) {
      EXPECT_TRUE(accepted.emplace(*all[0], id).second) << "one place for two pushes";
    }
  }
  ASSERT_GT(accepted.size(), 3000u);
  const auto seen = [&](std::uint64_t seq) {
    return !read.all().empty() && read.all().back().first >= seq;
  };
  ASSERT_TRUE(Eventually([&] { return seen(accepted.rbegin()->first); }));
  std::map<std::uint64_t, std::string> got;
  std::uint64_t last = 0;
  for (const auto& [seq, id] : read.all()) {
    ASSERT_GT(seq, last) << "out of order or repeated";
    last = seq;
    got[seq] = id;
  }
  for (const auto& [seq, id] : accepted)
    ASSERT_EQ(got[seq], id);
  EXPECT_GE(reader->restarts(), 2u);
}

TEST_F(PushLogLive, AReaderNoticesAConsumerThatIsGone) {
  Publisher publisher(*nats_, Log(), {});
  Read read;
  const auto reader = Open(0, 1, read);
  Store(publisher, 0, "a");
  ASSERT_TRUE(Eventually([&] { return read.count() == 1; }));
  server_.Freeze();  // longer than it may be silent
  std::this_thread::sleep_for(std::chrono::milliseconds(1900));
  server_.Thaw();
  Store(publisher, 0, "b");
  ASSERT_TRUE(Eventually([&] { return read.count() == 2; }));
  EXPECT_EQ(read.all().back().second, "body of b");
}

TEST_F(PushLogLive, AReaderNeedsNoServerToOpenAndNoneToClose) {
  Publisher publisher(*nats_, Log(), {});
  Store(publisher, 0, "a");
  server_.Kill();
  ASSERT_TRUE(Eventually([&] { return !nats_->connected(); }));
  Read none;
  Open(0, 1, none).reset();
  Read read;
  const auto reader = Open(0, 1, read);
  server_.Start();
  EXPECT_TRUE(Eventually([&] { return read.count() == 1; }));
  EXPECT_EQ(none.count(), 0u);
}

TEST_F(PushLogLive, ALoneMessageIsNotHeldBack) {
  Publisher publisher(*nats_, Log(), {});
  std::atomic<std::int64_t> arrived_us{0};
  auto reader = PartitionReader::Open(*nats_, Log(), 0, {},
                                      [&](const LogMessage&) { arrived_us = MonotonicUs(); });
  ASSERT_TRUE(reader);
  std::vector<std::int64_t> took;
  for (int i = 0; i < 100; ++i) {
    arrived_us = 0;
    const std::int64_t started_us = MonotonicUs();
    publisher.Publish(0, std::to_string(i), "x", [](const Result<std::uint64_t>&) {});
    while (arrived_us == 0)
      std::this_thread::yield();
    took.push_back(arrived_us - started_us);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  // The flusher of cnats would add its millisecond to every one of them.
  EXPECT_LT(*std::min_element(took.begin(), took.end()), 900);
}

}  // namespace
}  // namespace encke::bus

#include "net/loop.h"

#include <array>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace encke::net {
namespace {

std::unique_ptr<Loop> MakeLoop(std::size_t mailbox_max = 65536) {
  LoopOptions options;
  options.mailbox_max = mailbox_max;
  return std::move(*Loop::Make(options));
}

TEST(Loop, RunsPostedTasksInOrder) {
  auto loop = MakeLoop();
  std::string story;
  ASSERT_TRUE(loop->Post([&] { story += "a"; }));
  ASSERT_TRUE(loop->Post([&] { story += "b"; }));
  EXPECT_EQ(loop->mailbox_depth(), 2u);
  loop->Turn(0);
  EXPECT_EQ(story, "ab");
  EXPECT_EQ(loop->mailbox_depth(), 0u);
}

TEST(Loop, WhatATaskPostsWaitsForTheNextTurn) {
  auto loop = MakeLoop();
  std::string story;
  ASSERT_TRUE(loop->Post([&] {
    story += "a";
    ASSERT_TRUE(loop->Post([&] { story += "b"; }));
  }));
  loop->Turn(0);
  EXPECT_EQ(story, "a");
  loop->Turn(1000);  // the bell rings: this does not take a second
  EXPECT_EQ(story, "ab");
}

TEST(Loop, AFullMailboxRefusesAndCounts) {
  auto loop = MakeLoop(3);
  int ran = 0;
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(loop->Post([&] { ++ran; }), i < 3);
  EXPECT_EQ(loop->posts_refused().value(), 2u);
  loop->Turn(0);
  EXPECT_EQ(ran, 3);
  EXPECT_TRUE(loop->Post([&] { ++ran; }));
  loop->Turn(0);
  EXPECT_EQ(ran, 4);
}

TEST(Loop, EveryAcceptedPostRunsBeforeRunReturns) {
  auto loop = MakeLoop(1024);
  int ran = 0;
  std::array<int, 4> accepted{};
  std::vector<std::thread> posters;
  for (std::size_t p = 0; p < accepted.size(); ++p) {
    posters.emplace_back([&, p] {
      while (true) {
        if (loop->Post([&ran] { ++ran; })) {
          ++accepted[p];
        } else if (loop->posts_refused().value() > 1'000'000) {
          return;
        }
        if (accepted[p] == 5000) return;
      }
    });
  }
  std::thread runner([&] { loop->Run(); });
  for (std::thread& poster : posters)
    poster.join();
  loop->Stop();
  runner.join();
  EXPECT_EQ(ran, accepted[0] + accepted[1] + accepted[2] + accepted[3]);
  EXPECT_GT(ran, 0);
  EXPECT_FALSE(loop->Post([] {}));
}

TEST(Loop, WhatWasAcceptedBeforeStopRunsEvenIfNoTurnComes) {
  auto loop = MakeLoop();
  bool ran = false;
  ASSERT_TRUE(loop->Post([&] { ran = true; }));
  loop->Stop();
  loop->Run();
  EXPECT_TRUE(ran);
}

TEST(Loop, AgainRunsOncePerTurnAndKeepsEpollAwake) {
  auto loop = MakeLoop();
  int slices = 0;
  std::function<void()> work = [&] {
    if (++slices < 3) loop->Again(work);
  };
  loop->Again(work);
  loop->Turn(-1);  // would block for ever if Again did not count
  EXPECT_EQ(slices, 1);
  loop->Turn(-1);
  EXPECT_EQ(slices, 2);
  loop->Turn(-1);
  EXPECT_EQ(slices, 3);
}

TEST(Loop, AfterRunsInOrderOfTimeAndNeverEarly) {
  auto loop = MakeLoop();
  std::string story;
  const std::int64_t begin_us = MonotonicUs();
  std::int64_t fired_us = 0;
  loop->After(Duration(30), [&] {
    story += "c";
    fired_us = MonotonicUs();
  });
  loop->After(Duration(10), [&] { story += "a"; });
  loop->After(Duration(20), [&] { story += "b"; });
  for (int turns = 0; turns < 1000 && story.size() < 3; ++turns)
    loop->Turn(-1);
  EXPECT_EQ(story, "abc");
  EXPECT_GE(fired_us - begin_us, 30'000);
}

TEST(Loop, ATimerThatSetsATimerDoesNotHoldTheTurn) {
  auto loop = MakeLoop();
  int ran = 0;
  std::function<void()> work = [&] {
    ++ran;
    loop->After(Duration(0), work);
  };
  loop->After(Duration(0), work);
  loop->Turn(-1);
  EXPECT_EQ(ran, 1);
  loop->Turn(-1);
  EXPECT_EQ(ran, 2);
}

class Ears : public Loop::Watcher {
 public:
  void OnReady(std::uint32_t events, std::uint64_t data) override {
    heard.push_back(data);
    last_events = events;
  }
  void OnTurnEnd() override { ++turns; }
  std::int64_t WakeMs() const override { return wake_ms; }

  std::vector<std::uint64_t> heard;
  std::uint32_t last_events = 0;
  int turns = 0;
  std::int64_t wake_ms = Loop::kNever;
};

struct Pair {
  Pair() { EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds.data()), 0); }
  ~Pair() {
    ::close(fds[0]);
    ::close(fds[1]);
  }
  std::array<int, 2> fds{};
};

TEST(Loop, TellsTheRightWatcherWithItsData) {
  auto loop = MakeLoop();
  Ears one;
  Ears two;
  Pair a;
  Pair b;
  const std::uint64_t largest = (std::uint64_t{1} << 48) - 1;
  ASSERT_TRUE(loop->Watch(a.fds[0], EPOLLIN | EPOLLET, &one, 0));
  ASSERT_TRUE(loop->Watch(b.fds[0], EPOLLIN | EPOLLET, &two, largest));
  ASSERT_EQ(::write(a.fds[1], "x", 1), 1);
  ASSERT_EQ(::write(b.fds[1], "x", 1), 1);
  loop->Turn(1000);
  EXPECT_EQ(one.heard, std::vector<std::uint64_t>{0});
  EXPECT_EQ(two.heard, std::vector<std::uint64_t>{largest});
  EXPECT_EQ(one.turns, 1);

  loop->Unwatch(a.fds[0]);
  ASSERT_EQ(::write(a.fds[1], "y", 1), 1);
  loop->Turn(0);
  EXPECT_EQ(one.heard.size(), 1u);
}

TEST(Loop, AWatcherWakesTheLoopAndIsForgotten) {
  auto loop = MakeLoop();
  Pair pair;
  {
    Ears ears;
    ASSERT_TRUE(loop->Watch(pair.fds[0], EPOLLIN, &ears, 1));
    ears.wake_ms = 0;
    loop->Turn(-1);  // would block for ever otherwise
    EXPECT_EQ(ears.turns, 1);
    loop->Forget(&ears);
    loop->Unwatch(pair.fds[0]);
  }
  ASSERT_EQ(::write(pair.fds[1], "x", 1), 1);
  loop->Turn(0);
}

TEST(Loop, WatchingABadDescriptorIsAnError) {
  auto loop = MakeLoop();
  Ears ears;
  EXPECT_FALSE(loop->Watch(-1, EPOLLIN, &ears, 0));
}

TEST(Loop, CountsItsTurns) {
  auto loop = MakeLoop();
  loop->Turn(0);
  loop->Turn(0);
  EXPECT_EQ(loop->turn_us().count(), 2u);
}

}  // namespace
}  // namespace encke::net

// The client's order against a server that loses, repeats, trims and changes its epoch.

#include "clients/cpp/timeline.h"

#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace encke::client {
namespace {

Push PushOf(std::uint64_t epoch, std::uint64_t seq) {
  Push push;
  push.set_room("r://1");
  push.set_epoch(epoch);
  push.set_seq(seq);
  push.set_body(std::to_string(epoch) + "/" + std::to_string(seq));
  return push;
}

struct Follower {
  std::string story;
  Timeline timeline;
  explicit Follower(std::uint64_t epoch = 0, std::uint64_t seq = 0)
      : timeline("r://1",
                 epoch,
                 seq,
                 {.push = [this](const Push& push) { story += push.body() + " "; },
                  .reload = [this] { story += "reload "; }}) {}
  std::string Story() { return std::exchange(story, {}); }
  void Joins(std::uint64_t epoch, std::uint64_t seq, bool syncing = false) {
    Joined joined;
    joined.set_known(true);
    joined.set_kept(true);
    joined.set_epoch(epoch);
    joined.set_seq(seq);
    joined.set_syncing(syncing);
    timeline.OnJoined(joined);
  }
  // "none", or what it asks for.
  std::string Wants() {
    const auto sync = timeline.TakeSync();
    return sync ? std::to_string(sync->epoch()) + "/" + std::to_string(sync->after()) : "none";
  }
  void Synced(std::uint64_t epoch, std::uint64_t from, std::uint64_t to, bool more = false) {
    SyncReply reply;
    reply.set_epoch(epoch);
    for (std::uint64_t seq = from; seq <= to; ++seq)
      *reply.add_pushes() = PushOf(epoch, seq);
    reply.set_through(to);
    reply.set_more(more);
    timeline.OnSync(reply);
  }
};

TEST(Timeline, BeginsWithTheHeadAndDropsWhatIsOlder) {
  Follower f;
  f.timeline.OnPush(PushOf(5, 7));  // overtook the reply
  f.timeline.OnPush(PushOf(5, 8));
  f.Joins(5, 7);
  f.timeline.OnPush(PushOf(5, 9));
  f.timeline.OnPush(PushOf(5, 9));
  EXPECT_EQ(f.Story(), "5/8 5/9 ");
  EXPECT_EQ(f.Wants(), "none");
}

TEST(Timeline, TheFirstNumberFollowsAnEmptyTimeline) {
  Follower f;
  f.Joins(5, 0);
  f.timeline.OnPush(PushOf(5, 1));  // not asked for: it may be gone before an answer comes
  f.timeline.OnPush(PushOf(5, 2));
  EXPECT_EQ(f.Story(), "5/1 5/2 ");
  EXPECT_EQ(f.Wants(), "none");
  f.timeline.OnPush(PushOf(6, 1));
  EXPECT_EQ(f.Wants(), "5/2");
}

TEST(Timeline, AHoleIsFetchedOnceAndLivePushesWait) {
  Follower f;
  f.Joins(5, 1);
  f.timeline.OnPush(PushOf(5, 4));
  EXPECT_EQ(f.Wants(), "5/1");
  EXPECT_EQ(f.Wants(), "none");
  f.timeline.OnPush(PushOf(5, 6));
  f.timeline.OnPush(PushOf(5, 5));
  EXPECT_EQ(f.Story(), "");
  f.Synced(5, 2, 3);
  EXPECT_EQ(f.Story(), "5/2 5/3 5/4 5/5 5/6 ");
  EXPECT_TRUE(f.timeline.live());
}

TEST(Timeline, ResumesWhereItStopped) {
  Follower f(5, 3);
  f.Joins(5, 8, true);
  EXPECT_EQ(f.Wants(), "none");  // the server does it
  f.timeline.OnPush(PushOf(5, 9));
  f.Synced(5, 4, 6, true);
  EXPECT_EQ(f.Wants(), "5/6");
  f.Synced(5, 7, 8);
  EXPECT_EQ(f.Story(), "5/4 5/5 5/6 5/7 5/8 5/9 ");
  f.timeline.OnDown();
  EXPECT_EQ(f.timeline.cursor().seq(), 9U);
}

TEST(Timeline, AMissingTailShowsInTheHead) {
  Follower f;
  f.Joins(5, 1);
  f.timeline.OnHead(5, 2);
  EXPECT_EQ(f.Wants(), "5/1");
  f.Synced(5, 2, 2);
  f.timeline.OnHead(5, 2);
  EXPECT_EQ(f.Wants(), "none");
  EXPECT_EQ(f.Story(), "5/2 ");
}

TEST(Timeline, NumbersThatAreNotForUsAreDone) {
  Follower f;
  f.Joins(5, 1);
  Gap gap;
  gap.set_epoch(5);
  gap.set_from(2);
  gap.set_to(3);
  gap.set_reason(Gap::EXCLUDED);
  f.timeline.OnGap(gap);
  f.timeline.OnPush(PushOf(5, 4));
  EXPECT_EQ(f.Story(), "5/4 ");
  EXPECT_EQ(f.Wants(), "none");
  gap.set_reason(Gap::SLOW);
  gap.set_from(5);
  gap.set_to(6);
  f.timeline.OnGap(gap);
  EXPECT_EQ(f.Wants(), "5/4");
}

TEST(Timeline, WhatIsEmptyMayGetAnotherEpochWithoutAReload) {
  Follower f;
  f.Joins(5, 0);
  f.timeline.OnHead(6, 0);
  EXPECT_EQ(f.Wants(), "5/0");
  SyncReply reply;
  reply.set_epoch(6);
  f.timeline.OnSync(reply);
  EXPECT_TRUE(f.timeline.live());
  EXPECT_EQ(f.timeline.cursor().epoch(), 6u);
  f.timeline.OnPush(PushOf(6, 1));
  EXPECT_EQ(f.Story(), "6/1 ");
  EXPECT_EQ(f.Wants(), "none");
}

TEST(Timeline, WhatFollowedNumberZeroAndIsGoneIsAReload) {
  Follower f;
  f.Joins(5, 0);
  f.timeline.OnDown();
  f.Joins(6, 9);
  EXPECT_EQ(f.Wants(), "5/0");
  SyncReply reply;
  reply.set_epoch(6);
  reply.set_reload(true);
  for (const std::uint64_t seq : {8U, 9U})
    *reply.add_pushes() = PushOf(6, seq);
  reply.set_through(9);
  f.timeline.OnSync(reply);
  EXPECT_EQ(f.Story(), "reload 6/8 6/9 ");
}

TEST(Timeline, AnErrorIsTriedAgainWhenItIsTimeOrWithTheNextHead) {
  Follower f;
  f.Joins(5, 1);
  f.timeline.OnPush(PushOf(5, 3));
  EXPECT_EQ(f.Wants(), "5/1");
  SyncReply away;
  away.mutable_error()->set_code(Error::UNAVAILABLE);
  f.timeline.OnSync(away);
  EXPECT_EQ(f.Wants(), "none");
  f.timeline.OnHead(5, 3);
  EXPECT_EQ(f.Wants(), "5/1");
  f.timeline.Retry();
  EXPECT_EQ(f.Wants(), "none");  // one is under way
  f.timeline.OnSync(away);
  f.timeline.Retry();
  EXPECT_EQ(f.Wants(), "5/1");
}

TEST(Timeline, WhatIsHeldIsBounded) {
  Follower f;
  f.Joins(5, 1);
  for (std::uint64_t seq = 3; seq <= 1000; ++seq)
    f.timeline.OnPush(PushOf(5, seq));
  f.Wants();
  f.Synced(5, 2, 2);
  EXPECT_EQ(f.timeline.cursor().seq(), 2 + Timeline::kHeldMax);
  EXPECT_EQ(f.Wants(), "5/258");  // the rest is fetched
}

// A server that keeps the last messages only, changes its epoch now and then, and loses, repeats
// and delays what it sends.
struct Server {
  std::uint64_t epoch = 1, newest = 0, oldest = 1;
  static constexpr std::uint64_t kKept = 30;
  void Say() {
    ++newest;
    if (newest - oldest + 1 > kKept) oldest = newest - kKept + 1;
  }
  SyncReply Fetch(const Sync& sync) const {
    SyncReply reply;
    reply.set_epoch(epoch);
    reply.set_newest(newest);
    reply.set_oldest(newest == 0 ? 0 : oldest);
    const bool other = sync.epoch() != 0 && sync.epoch() != epoch;
    const bool old = sync.after() < newest && sync.after() + 1 < oldest;
    reply.set_reload(other || (sync.epoch() != 0 && old));
    if (other) {
      reply.set_through(newest == 0 ? 0 : oldest - 1);
      reply.set_more(newest > 0);
      return reply;
    }
    const std::uint64_t from = std::max(sync.after() + 1, oldest);
    reply.set_through(sync.after());
    for (std::uint64_t seq = from; seq <= newest && seq < from + 7; ++seq) {
      *reply.add_pushes() = PushOf(epoch, seq);
      reply.set_through(seq);
    }
    reply.set_more(reply.through() < newest);
    return reply;
  }
};

TEST(TimelineModel, EveryCallbackIsTheNextNumberOrBehindAReload) {
  for (unsigned seed = 1; seed <= 400; ++seed) {
    std::minstd_rand random(seed);
    Server server;
    std::uint64_t epoch = 0, last = 0;
    bool reloaded = true;  // the beginning
    std::size_t reloads = 0;
    bool sound = true;
    Timeline timeline("r://1", 0, 0,
                      {.push =
                           [&](const Push& push) {
                             const bool next = push.epoch() == epoch && push.seq() == last + 1;
                             sound = sound && (next || reloaded);
                             sound = sound && (push.epoch() != epoch || push.seq() > last);
                             reloaded = false;
                             epoch = push.epoch();
                             last = push.seq();
                           },
                       .reload =
                           [&] {
                             ++reloads;
                             reloaded = true;
                           }});
    std::vector<Push> wire;  // on the way
    std::optional<SyncReply> answer;
    bool up = false;
    const auto join = [&] {
      Joined joined;
      joined.set_known(true);
      joined.set_epoch(server.epoch);
      joined.set_seq(server.newest);
      timeline.OnJoined(joined);
      up = true;
    };
    const auto pump = [&] {
      if (answer) timeline.OnSync(*std::exchange(answer, std::nullopt));
      if (const auto sync = timeline.TakeSync()) answer = server.Fetch(*sync);
    };
    join();
    for (int step = 0; step < 600; ++step) {
      switch (random() % 12) {
        case 0:
          if (random() % 8 == 0) {
            timeline.OnDown();
            wire.clear();
            answer.reset();
            up = false;
          }
          break;
        case 1:
          if (!up) join();
          break;
        case 2:
          if (random() % 40 == 0) {
            ++server.epoch;
            server.newest = 0;
            server.oldest = 1;
          }
          break;
        case 3:
          if (up) timeline.OnHead(server.epoch, server.newest);
          break;
        case 4:
        case 5:
          pump();
          break;
        case 6:
          if (up && !wire.empty()) wire.push_back(wire[random() % wire.size()]);  // a repeat
          break;
        case 7:
        case 8:
          if (up && !wire.empty()) {
            timeline.OnPush(wire.front());
            wire.erase(wire.begin());
          }
          break;
        default:
          server.Say();
          if (up && random() % 5 != 0) wire.push_back(PushOf(server.epoch, server.newest));
      }
    }
    if (!up) join();
    for (const Push& push : wire)
      timeline.OnPush(push);
    for (int i = 0; i < 60; ++i) {
      pump();
      if (i % 10 == 9) timeline.OnHead(server.epoch, server.newest);
    }
    EXPECT_TRUE(sound) << "seed " << seed;
    EXPECT_EQ(timeline.cursor().epoch(), server.epoch) << "seed " << seed;
    EXPECT_EQ(timeline.cursor().seq(), server.newest) << "seed " << seed;
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace encke::client

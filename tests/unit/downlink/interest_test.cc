// Join means join: who waits for which job, and what jobs are told.

#include "downlink/interest.h"

#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace encke::downlink {
namespace {

class InterestTest : public testing::Test {
 protected:
  InterestOptions Options() {
    InterestOptions options;
    options.now_ms = [this] { return now; };
    return options;
  }

  void WhenKnown(const std::string& room) {
    interest.WhenKnown(
        room, [this, room](bool in_time) { story += room + (in_time ? " known\n" : " late\n"); });
  }
  Interest::JobId AddJob(const std::string& name) {
    return interest.AddJob([this, name] { story += "kick " + name + "\n"; });
  }
  void Fill(Interest::JobId job) {
    ::encke::Interest out;
    if (!interest.Fill(job, &out)) {
      story += "nothing\n";
      return;
    }
    story += std::to_string(out.number()) + (out.snapshot() ? " all" : "");
    if (out.more()) story += " more";
    for (const std::string& room : out.joined())
      story += " +" + room;
    for (const std::string& room : out.left())
      story += " -" + room;
    story += "\n";
  }
  void Tick(std::int64_t ms) {
    now += ms;
    interest.Tick(now);
  }
  std::string Story() { return std::exchange(story, ""); }

  std::int64_t now = 1'000'000;
  std::string story;
  Interest interest{Options()};
};

TEST_F(InterestTest, WithoutAJobEverythingIsKnown) {
  WhenKnown("a");
  EXPECT_EQ(Story(), "a known\n");
  EXPECT_EQ(interest.counts().waits.value(), 0U);
  EXPECT_EQ(interest.rooms(), 1U);
}

TEST_F(InterestTest, ANewRoomWaitsForEveryJobAndAKnownOneForNone) {
  const auto one = AddJob("one");
  const auto two = AddJob("two");
  Fill(one);
  Fill(two);
  interest.Confirmed(one, 1);
  interest.Confirmed(two, 1);
  EXPECT_EQ(Story(), "1 all\n1 all\n");
  WhenKnown("a");
  WhenKnown("a");
  EXPECT_EQ(Story(), "kick one\nkick two\n");
  Fill(one);
  Fill(one);
  Fill(two);
  EXPECT_EQ(Story(), "2 +a\nnothing\n2 +a\n");
  interest.Confirmed(one, 2);
  EXPECT_EQ(Story(), "");
  interest.Confirmed(two, 2);
  EXPECT_EQ(Story(), "a known\na known\n");
  WhenKnown("a");
  EXPECT_EQ(Story(), "a known\n");
  EXPECT_EQ(interest.counts().waits.value(), 2U);
}

TEST_F(InterestTest, RoomsDeclaredWhileAWriteIsUnderWayLeaveTogether) {
  const auto job = AddJob("job");
  Fill(job);
  interest.Confirmed(job, 1);
  Story();
  WhenKnown("a");
  Fill(job);
  WhenKnown("b");
  WhenKnown("c");
  EXPECT_EQ(Story(), "kick job\n2 +a\nkick job\n");
  Fill(job);
  interest.Confirmed(job, 2);
  EXPECT_EQ(Story(), "3 +b +c\na known\n");
  interest.Confirmed(job, 3);
  EXPECT_EQ(Story(), "b known\nc known\n");
}

TEST_F(InterestTest, AJobThatComesLaterGetsTheSnapshotAndIsWaitedFor) {
  interest.Present("a", true);
  interest.Present("b", true);
  const auto job = AddJob("job");
  WhenKnown("a");  // known a moment ago, but not to this job
  EXPECT_EQ(Story(), "");
  Fill(job);
  interest.Confirmed(job, 1);
  EXPECT_EQ(Story(), "1 all +a +b\na known\n");
  WhenKnown("b");
  EXPECT_EQ(Story(), "b known\n");
}

TEST_F(InterestTest, AJobThatGoesReleasesItsWaiters) {
  const auto job = AddJob("job");
  WhenKnown("a");
  Story();
  interest.RemoveJob(job);
  EXPECT_EQ(Story(), "a known\n");
  Fill(job);
  interest.Confirmed(job, 1);
  EXPECT_EQ(Story(), "nothing\n");
}

TEST_F(InterestTest, AnExpectedJobIsWaitedForUntilItConnects) {
  interest.Expect({"one"});
  EXPECT_EQ(interest.missing(), 1U);
  WhenKnown("a");
  EXPECT_EQ(Story(), "");
  const auto one = AddJob("one");
  interest.Named(one, "one");
  Fill(one);
  EXPECT_EQ(Story(), "1 all +a\n");
  interest.Confirmed(one, 1);
  EXPECT_EQ(Story(), "a known\n");
  EXPECT_EQ(interest.missing(), 0U);
}

TEST_F(InterestTest, AJobThatWasJustConnectedIsNotWaitedFor) {
  interest.Expect({"one"});
  const auto one = AddJob("one");
  interest.Named(one, "one");
  interest.RemoveJob(one);
  WhenKnown("a");
  EXPECT_EQ(Story(), "a known\n");
  Tick(5000);  // it has given us up by now
  WhenKnown("b");
  EXPECT_EQ(Story(), "");
  interest.Expect({});  // it is gone
  EXPECT_EQ(Story(), "b known\n");
}

TEST_F(InterestTest, AWaitRunsOut) {
  AddJob("job");
  WhenKnown("a");
  Tick(100);
  WhenKnown("b");
  Story();
  Tick(99);
  EXPECT_EQ(Story(), "");
  Tick(1);
  EXPECT_EQ(Story(), "a late\n");
  Tick(100);
  EXPECT_EQ(Story(), "b late\n");
  EXPECT_EQ(interest.counts().waits_timed_out.value(), 2U);
}

TEST_F(InterestTest, ARoomLingersAndComesBackForNothing) {
  const auto job = AddJob("job");
  interest.Present("a", true);  // two shards have it
  interest.Present("a", true);
  Fill(job);
  interest.Confirmed(job, 1);
  Story();
  interest.Present("a", false);
  Tick(20'000);
  interest.Present("a", false);
  Tick(4'000);
  interest.Present("a", true);
  Tick(20'000);
  WhenKnown("a");
  EXPECT_EQ(Story(), "a known\n");
  interest.Present("a", false);
  Tick(4'999);
  EXPECT_EQ(interest.rooms(), 1U);
  Tick(5'000);
  EXPECT_EQ(interest.rooms(), 0U);
  EXPECT_EQ(Story(), "kick job\n");
  Fill(job);
  EXPECT_EQ(Story(), "2 -a\n");
}

TEST_F(InterestTest, ARoomThatNobodyJoinedInTheEndIsLeftToo) {
  const auto job = AddJob("job");
  Fill(job);
  WhenKnown("a");
  Tick(3'000);
  WhenKnown("a");
  Story();
  Tick(4'000);  // the first linger is over, the second not
  EXPECT_EQ(interest.rooms(), 1U);
  Tick(1'000);
  EXPECT_EQ(interest.rooms(), 0U);
  Fill(job);
  EXPECT_EQ(Story(), "a late\n2 -a\n");  // joined and left before it was told of either
}

TEST_F(InterestTest, ARoomLeftAndJoinedAgainIsNewOnceMore) {
  const auto job = AddJob("job");
  Fill(job);
  WhenKnown("a");
  Fill(job);
  interest.Confirmed(job, 2);
  Tick(5'000);
  Story();
  WhenKnown("a");  // the job may have been told that we left
  EXPECT_EQ(Story(), "");
  Fill(job);
  interest.Confirmed(job, 3);
  EXPECT_EQ(Story(), "3 +a\na known\n");
}

TEST(InterestLimits, ABigSnapshotComesInSeveralMessages) {
  InterestOptions options;
  options.message_bytes_max = 30;
  options.now_ms = [] { return 0; };
  Interest interest(options);
  for (int i = 0; i < 5; ++i)
    interest.Present("room " + std::to_string(i), true);
  const auto job = interest.AddJob([] {});
  std::vector<int> sizes;
  bool known = false;
  interest.WhenKnown("room 4", [&known](bool) { known = true; });
  ::encke::Interest out;
  while (interest.Fill(job, &out)) {
    EXPECT_FALSE(known);
    EXPECT_EQ(out.snapshot(), sizes.empty());
    sizes.push_back(out.joined_size());
    interest.Confirmed(job, out.number());
    out.Clear();
  }
  EXPECT_EQ(sizes, std::vector<int>({3, 2}));
  EXPECT_TRUE(known);
}

TEST(InterestLimits, RoomsLeftAreForgottenWhenAJobDoesNotAsk) {
  std::int64_t now = 0;
  InterestOptions options;
  options.left_rooms_max = 3;
  options.now_ms = [&now] { return now; };
  Interest interest(options);
  const auto job = interest.AddJob([] {});
  ::encke::Interest out;
  interest.Fill(job, &out);
  for (int i = 0; i < 10; ++i)
    interest.WhenKnown("room " + std::to_string(i), [](bool) {});
  interest.Tick(now = 10'000);
  EXPECT_EQ(interest.counts().forgotten.value(), 7U);
  EXPECT_EQ(interest.rooms(), 0U);
  out.Clear();
  EXPECT_TRUE(interest.Fill(job, &out));
  EXPECT_EQ(out.left_size(), 3);
  EXPECT_FALSE(interest.Fill(job, &out));
}

// Two jobs that ask and confirm at random moments: whoever is told "known" must find the room in
// every job, and in the end both jobs know exactly what is there.
struct FakeJob {
  Interest::JobId id = 0;
  std::set<std::string> rooms;  // routed here, as this job believes
  std::uint64_t in_force = 0;

  void Ask(Interest* interest) {
    ::encke::Interest out;
    if (!interest->Fill(id, &out)) return;
    if (out.snapshot()) rooms.clear();
    rooms.insert(out.joined().begin(), out.joined().end());
    for (const std::string& room : out.left())
      rooms.erase(room);
    in_force = out.number();
  }
};

struct World {
  explicit World(unsigned seed) : random(seed) {
    InterestOptions options;
    options.now_ms = [this] { return now; };
    options.message_bytes_max = 40;
    interest = std::make_unique<Interest>(options);
    for (FakeJob& job : jobs)
      job.id = interest->AddJob([] {});
  }
  std::string AnyRoom() { return "r" + std::to_string(random() % 8); }

  void Step() {
    const std::string room = AnyRoom();
    FakeJob& job = jobs[random() % jobs.size()];
    switch (random() % 7) {
      case 0:
        return Watch(room);
      case 1:
        return ++members[room], interest->Present(room, true);
      case 2:
        if (members[room] > 0) --members[room], interest->Present(room, false);
        return;
      case 3:
        return job.Ask(interest.get());
      case 4:
        return interest->Confirmed(job.id, job.in_force);
      case 5:
        return interest->Tick(now += static_cast<std::int64_t>(random() % 4000));
      default:
        return Reconnect(&job);
    }
  }

  void Watch(const std::string& room) {
    interest->WhenKnown(room, [this, room](bool in_time) {
      for (const FakeJob& job : jobs)
        if (in_time && !job.rooms.contains(room)) broken = room + " is not known";
      ++answers;
    });
    ++questions;
  }

  void Reconnect(FakeJob* job) {
    if (random() % 8 != 0) return;
    FakeJob fresh;
    fresh.id = interest->AddJob([] {});
    std::swap(*job, fresh);
    // The gap belongs to the test: the new connection confirms before the old one goes.
    while (job->in_force < 100 && job->rooms.size() < interest->rooms())
      job->Ask(interest.get());
    job->Ask(interest.get());
    interest->Confirmed(job->id, job->in_force);
    interest->RemoveJob(fresh.id);
  }

  std::mt19937 random;
  std::int64_t now = 0;
  std::unique_ptr<Interest> interest;
  std::vector<FakeJob> jobs = std::vector<FakeJob>(2);
  std::map<std::string, int> members;
  int questions = 0;
  int answers = 0;
  std::string broken;
};

TEST(InterestModel, KnownIsNeverSaidTooEarlyAndEveryQuestionIsAnswered) {
  for (unsigned seed = 1; seed <= 50; ++seed) {
    World world(seed);
    for (int step = 0; step < 2000; ++step)
      world.Step();
    for (int quiet = 0; quiet < 4; ++quiet)
      world.interest->Tick(world.now += 6000);
    std::set<std::string> there;
    for (const auto& [room, members] : world.members)
      if (members > 0) there.insert(room);
    for (FakeJob& job : world.jobs) {
      for (int i = 0; i < 20; ++i)
        job.Ask(world.interest.get());
      EXPECT_EQ(job.rooms, there) << "seed " << seed;
    }
    ASSERT_EQ(world.broken, "") << "seed " << seed;
    ASSERT_EQ(world.answers, world.questions) << "seed " << seed;
  }
}

}  // namespace
}  // namespace encke::downlink

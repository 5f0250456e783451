#include "bus/leases.h"

#include <algorithm>
#include <atomic>
#include <map>

#include "base/threads.h"
#include "bus/kv.h"
#include "bus_live/live.h"

namespace encke::bus {
namespace {

constexpr int kPartitions = 8;

// Who reads what, over all jobs: two at once is what must never happen.
struct Ground {
  std::map<int, std::string> reader;
  std::map<int, std::uint64_t> fence;
  std::string broken;
};

class Job {
 public:
  Job(std::unique_ptr<Nats> nats, const std::string& name, Guarded<Ground>& ground)
      : nats_(std::move(nats)), name_(name), ground_(ground) {
    LeaseOptions options;
    options.renew_interval = Duration(200);
    options.expire = Duration(800);
    leases_ = std::make_unique<Leases>(*nats_, kPartitions, name, options);
  }
  void Start(std::size_t jobs) {
    leases_->SetHolders(jobs);
    leases_->Start([this](const Lease& lease) { OnGained(lease); },
                   [this](int partition) { OnLost(partition); });
  }
  void Leave() { leases_.reset(); }
  Leases& leases() { return *leases_; }
  Nats& nats() { return *nats_; }
  std::size_t count() const { return leases_->held().size(); }
  std::map<int, Lease> gained() const {
    return gained_.With([](const auto& all) { return all; });
  }

 private:
  void OnGained(const Lease& lease) {
    gained_.With([&](auto& all) { all[lease.partition] = lease; });
    ground_.With([&](Ground& ground) {
      std::string& reader = ground.reader[lease.partition];
      if (!reader.empty()) ground.broken += name_ + " takes what " + reader + " reads; ";
      reader = name_;
      std::uint64_t& fence = ground.fence[lease.partition];
      if (lease.fence <= fence) ground.broken += "a fence went back; ";
      fence = lease.fence;
    });
  }
  void OnLost(int partition) {
    ground_.With([&](Ground& ground) { ground.reader[partition].clear(); });
  }

  std::unique_ptr<Nats> nats_;
  const std::string name_;
  Guarded<Ground>& ground_;
  Guarded<std::map<int, Lease>> gained_;
  std::unique_ptr<Leases> leases_;
};

class LeasesLive : public LiveTest {
 protected:
  LeasesLive() { EXPECT_TRUE(nats_->EnsureBuckets(1)); }
  ~LeasesLive() override {
    EXPECT_EQ(ground_.With([](Ground& ground) { return ground.broken; }), "");
  }

  std::unique_ptr<Job> Run(const std::string& name, std::size_t jobs) {
    auto job = std::make_unique<Job>(Connect(), name, ground_);
    job->Start(jobs);
    return job;
  }
  static bool Holds(const Job& job, std::size_t count) {
    return Eventually([&] { return job.count() == count; });
  }

  Guarded<Ground> ground_;
};

TEST_F(LeasesLive, ALoneJobTakesEverythingAndAnotherGetsHalf) {
  const auto a = Run("a", 1);
  ASSERT_TRUE(Holds(*a, kPartitions));
  EXPECT_EQ(a->gained()[0].checkpoint, 0u);
  const auto b = Run("b", 2);
  a->leases().SetHolders(2);
  ASSERT_TRUE(Holds(*b, kPartitions / 2));
  EXPECT_EQ(a->count(), kPartitions / 2u);
  const auto c = Run("c", 3);
  a->leases().SetHolders(3);
  b->leases().SetHolders(3);
  ASSERT_TRUE(Eventually(
      [&] { return c->count() >= 2 && a->count() + b->count() + c->count() == kPartitions; }));
  EXPECT_LE(c->count(), 3u);
}

TEST_F(LeasesLive, CheckpointsGoFromHandToHand) {
  auto a = Run("a", 1);
  ASSERT_TRUE(Holds(*a, kPartitions));
  const auto gained = a->gained();
  for (const auto& [partition, lease] : gained) {
    const auto number = static_cast<std::uint64_t>(partition);
    a->leases().Save({partition, lease.fence, 100 + number, 5});
    a->leases().Save({partition, lease.fence, 50, 5});       // never back
    a->leases().Save({partition, lease.fence - 1, 999, 5});  // a former life
  }
  a->Leave();
  const auto b = Run("b", 1);
  ASSERT_TRUE(Holds(*b, kPartitions));
  for (const auto& [partition, lease] : b->gained()) {
    EXPECT_EQ(lease.checkpoint, 100 + static_cast<std::uint64_t>(partition));
    EXPECT_EQ(lease.log, 5u);
    EXPECT_GT(lease.fence, gained.at(partition).fence);
  }
}

TEST_F(LeasesLive, CheckpointsAreWrittenWhileTheLeaseIsHeld) {
  const auto a = Run("a", 1);
  ASSERT_TRUE(Holds(*a, kPartitions));
  a->leases().Save({3, a->gained()[3].fence, 77});
  Kv kv(*nats_, "encke_checkpoints", Duration(1000));
  EXPECT_TRUE(Eventually([&] {
    auto entry = kv.Get("p.3");
    return entry && entry->value.starts_with("77 ");
  }));
}

TEST_F(LeasesLive, ASilentHolderIsReplaced) {
  // Written by a job that died: nobody renews it.
  Kv kv(*nats_, "encke_leases", Duration(1000));
  for (int p = 0; p < kPartitions; ++p) {
    ASSERT_TRUE(kv.Write("p." + std::to_string(p), "dead/1", 0));
  }
  const std::int64_t started_ms = MonotonicMs();
  const auto a = Run("a", 2);
  ASSERT_TRUE(Holds(*a, kPartitions));
  EXPECT_GE(MonotonicMs() - started_ms, 800);
}

TEST_F(LeasesLive, ADeletedKeyIsAFreeOne) {
  Kv kv(*nats_, "encke_leases", Duration(1000));
  ASSERT_TRUE(kv.Put("p.0", "x"));
  ASSERT_TRUE(kv.Delete("p.0"));
  const auto a = Run("a", 1);
  EXPECT_TRUE(Holds(*a, kPartitions));
}

TEST_F(LeasesLive, AHolderThatCannotRenewStopsByItselfAndGoesOnLater) {
  const auto a = Run("a", 2);
  const auto b = Run("b", 2);
  ASSERT_TRUE(Holds(*a, 4) && Holds(*b, 4));
  const auto before = a->leases().held();
  server_.Kill();
  ASSERT_TRUE(Holds(*a, 0) && Holds(*b, 0));
  server_.Start();
  ASSERT_TRUE(Holds(*a, 4) && Holds(*b, 4));
  EXPECT_EQ(a->leases().held(), before);
}

TEST_F(LeasesLive, FencesGrowOverABucketThatWasLost) {
  const auto a = Run("a", 1);
  ASSERT_TRUE(Holds(*a, kPartitions));
  const auto before = a->gained();
  server_.Kill();
  server_.Wipe();
  server_.Start();  // nobody but us makes the buckets again
  ASSERT_TRUE(Eventually([&] {
    const auto now = a->gained();
    return std::all_of(before.begin(), before.end(), [&](const auto& entry) {
      return now.at(entry.first).fence > entry.second.fence;
    });
  }));
  EXPECT_TRUE(Holds(*a, kPartitions));
}

TEST_F(LeasesLive, AShortOutageCostsNothing) {
  const auto a = Run("a", 1);
  ASSERT_TRUE(Holds(*a, kPartitions));
  const auto before = a->gained();
  server_.Freeze();
  std::this_thread::sleep_for(Duration(250));
  server_.Thaw();
  std::this_thread::sleep_for(Duration(1500));
  EXPECT_EQ(a->count(), std::size_t{kPartitions});
  for (const auto& [partition, lease] : a->gained()) {
    EXPECT_EQ(lease.fence, before.at(partition).fence);
  }
}

}  // namespace
}  // namespace encke::bus

#pragma once
// A world of jobs around one lease store, all driven from a seed.  Goal: whatever jobs, the store
// and the network do, no two jobs use a partition at the same time and no fence is given twice; and
// once the trouble is over, everything is held in fair shares.
//
// Owner    a test.
// Thread   one; time is a number.
// Limit    none.

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "fleet/lease_table.h"

namespace encke::fleet {

struct World {
  explicit World(int p) : partitions(p), rows(static_cast<std::size_t>(p)) {}

  int partitions;
  std::int64_t now = 1000;
  std::uint64_t revision = 0;
  std::vector<LeaseStore::Entry> rows;
  std::map<int, int> user;  // partition -> job that uses it
  std::set<std::pair<int, std::uint64_t>> fences;
  std::map<int, std::uint64_t> newest_fence;
  std::string broken;
  LeaseOptions options;

  void Fault(const std::string& what) {
    if (broken.empty()) broken = "at " + std::to_string(now) + ": " + what;
  }
};

class Store final : public LeaseStore {
 public:
  Store(World& world, std::mt19937& random) : world_(world), random_(random) {}

  bool reachable = true;
  int lost_answers_percent = 0;
  std::int64_t call_ms_max = 0;

  Result<Entry> Read(int p) override {
    Spend();
    if (!reachable || LosesAnswer()) return Away();
    return world_.rows[static_cast<std::size_t>(p)];
  }
  Result<std::uint64_t> Write(int p, const std::string& holder, std::uint64_t expected) override {
    if (!reachable) return Away();
    Spend();
    Entry& row = world_.rows[static_cast<std::size_t>(p)];
    if (LosesAnswer() && random_() % 2 == 0) return Away();  // the request was lost
    if (row.revision != expected) return Error{Errc::kConflict, "moved"};
    row = {holder, ++world_.revision};
    if (LosesAnswer()) return Away();  // the answer was lost
    return row.revision;
  }

 private:
  void Spend() {
    if (call_ms_max > 0) world_.now += static_cast<std::int64_t>(random_() % call_ms_max);
  }
  bool LosesAnswer() { return static_cast<int>(random_() % 100) < lost_answers_percent; }
  Error Away() const { return Error{Errc::kTimeout, "no answer"}; }

  World& world_;
  std::mt19937& random_;
};

class Job {
 public:
  Job(World& world, std::mt19937& random, int number)
      : store(world, random),
        table(world.partitions,
              "job" + std::to_string(number),
              world.options,
              store,
              {[&world] { return world.now; },
               [&world, number](int p, std::uint64_t fence) {
                 OnGained(world, number, p, fence);
                 return true;
               },
               [&world, number](int p, bool) {
                 if (world.user.at(p) == number) world.user.erase(p);
               }}),
        world_(world),
        number_(number) {}

  // Gone without a word.
  void Die() {
    std::erase_if(world_.user, [this](const auto& use) { return use.second == number_; });
  }

  Store store;
  LeaseTable table;

 private:
  static void OnGained(World& world, int number, int p, std::uint64_t fence) {
    const auto [user, alone] = world.user.emplace(p, number);
    if (!alone) {
      world.Fault("job" + std::to_string(number) + " takes " + std::to_string(p) + " from job" +
                  std::to_string(user->second));
    }
    if (!world.fences.emplace(p, fence).second) world.Fault("a fence was given twice");
    if (fence <= world.newest_fence[p]) world.Fault("a fence went back");
    world.newest_fence[p] = fence;
  }

  World& world_;
  int number_;
};

class Simulation {
 public:
  Simulation(std::uint64_t seed, int partitions)
      : random_(static_cast<std::uint32_t>(seed)), world_(partitions) {}

  void Join() {
    const int number = next_number_++;
    jobs_[number] = std::make_unique<Job>(world_, random_, number);
  }
  void Kill() { Remove(true); }
  void Leave() { Remove(false); }

  // Everyone takes a turn every quarter of a renewal, in any order; the registry is right only
  // when `registry_right`.
  void Run(std::int64_t ms, bool registry_right) {
    for (const std::int64_t end = world_.now + ms; world_.now < end && world_.broken.empty();) {
      if (registry_right) told_ = jobs_.size();
      std::vector<Job*> order;
      for (auto& [number, job] : jobs_)
        order.push_back(job.get());
      std::shuffle(order.begin(), order.end(), random_);
      const std::int64_t started = world_.now;
      for (Job* job : order) {
        job->table.SetHolders(told_);
        job->table.Turn();
      }
      world_.now = std::max(world_.now, started + 250);
    }
  }

  void Trouble() {
    for (int i = 0; i < 12 && world_.broken.empty(); ++i) {
      switch (random_() % 8) {
        case 0:
          Join();
          break;
        case 1:
          Kill();
          break;
        case 2:
          Leave();
          break;
        case 3:
          SetReachable(random_() % 2 == 0);
          break;
        case 4:
          One().store.reachable = random_() % 2 == 0;
          break;
        case 5:
          One().store.lost_answers_percent = static_cast<int>(random_() % 40);
          break;
        case 6:
          told_ = 1 + random_() % 5;
          break;
      }
      Run(static_cast<std::int64_t>(random_() % 9000), random_() % 3 != 0);
    }
  }

  void Calm() {
    for (auto& [number, job] : jobs_) {
      job->store.reachable = true;
      job->store.lost_answers_percent = 0;
    }
    // Old evidence and a wrong registry are forgotten after fifteen expiries.
    Run(90'000, true);
  }

  void SetReachable(bool reachable) {
    for (auto& [number, job] : jobs_)
      job->store.reachable = reachable;
  }

  std::vector<std::size_t> Shares() const {
    std::vector<std::size_t> shares;
    for (const auto& [number, job] : jobs_)
      shares.push_back(job->table.held().size());
    std::sort(shares.begin(), shares.end());
    return shares;
  }
  std::size_t used() const { return world_.user.size(); }
  std::size_t jobs() const { return jobs_.size(); }
  World& world() { return world_; }
  Job& job(int number) { return *jobs_.at(number); }
  void Tell(std::size_t jobs) { told_ = jobs; }

 private:
  void Remove(bool silently) {
    if (jobs_.size() < 2) return;
    auto victim = std::next(jobs_.begin(), static_cast<int>(random_() % jobs_.size()));
    if (silently) {
      victim->second->Die();
    } else {
      victim->second->table.GiveUpAll();
    }
    jobs_.erase(victim);
  }
  Job& One() {
    return *std::next(jobs_.begin(), static_cast<int>(random_() % jobs_.size()))->second;
  }

  std::mt19937 random_;
  World world_;
  std::map<int, std::unique_ptr<Job>> jobs_;
  int next_number_ = 1;
  std::size_t told_ = 1;
};

}  // namespace encke::fleet

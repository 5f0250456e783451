#include "simulation/push_path.h"

#include <cstdlib>

#include <gtest/gtest.h>

#include "base/log.h"

namespace encke::simulation {
namespace {

class Simulation {
 public:
  explicit Simulation(std::uint64_t seed) : bus_(seed) {
    for (int i = 0; i < 2; ++i)
      StartComet("c" + std::to_string(i));
    for (int i = 0; i < 2; ++i)
      StartJob();
    Run(30, /*trouble=*/false);
  }

  void Trouble() {
    for (int i = 0; i < 12 && bus_.broken.empty(); ++i) {
      switch (bus_.Pick(9)) {
        case 0:
          if (jobs_.size() < 4) StartJob();
          break;
        case 1:
          if (jobs_.size() > 1) jobs_.erase(AnyJob());  // kill -9
          break;
        case 2:
          if (jobs_.size() > 1) {
            const auto job = AnyJob();
            job->second->Leave();
            jobs_.erase(job);
          }
          break;
        case 3:
          paused_.insert(AnyJob()->first);
          break;
        case 4:
          paused_.clear();
          break;
        case 5:
          KillComet("c" + std::to_string(bus_.Pick(2)));
          break;
        case 6:
          AnyJob()->second->leases.reachable = bus_.Chance(50);
          break;
        case 7:
          AnyJob()->second->leases.lost_percent = static_cast<int>(bus_.Pick(40));
          break;
        case 8:
          break_percent_ = static_cast<int>(bus_.Pick(15));
          break;
      }
      Run(5 + bus_.Pick(30), /*trouble=*/true);
    }
  }

  // Peace comes; then everybody must have everything.
  void Finish() {
    paused_.clear();
    break_percent_ = 0;
    for (auto& [number, job] : jobs_) {
      job->leases.reachable = true;
      job->leases.lost_percent = 0;
    }
    Run(60, /*trouble=*/false);
    silent_ = true;
    Run(60, /*trouble=*/false);
    for (const auto& [id, comet] : bus_.comets) {
      for (std::size_t i = comet->born_at; i < bus_.log.size(); ++i) {
        if (!comet->Has(bus_.log[i])) bus_.Fault(id + " never got " + bus_.log[i].name);
      }
    }
    for (int p = 0; p < kPartitions; ++p) {
      const auto last = std::find_if(bus_.log.rbegin(), bus_.log.rend(),
                                     [p](const LogRow& row) { return row.partition == p; });
      const auto seq = static_cast<std::uint64_t>(bus_.log.rend() - last);
      if (bus_.checkpoints[p].seq < seq) {
        bus_.Fault("the checkpoint of " + std::to_string(p) + " stands still");
      }
    }
  }
  const std::string& broken() const { return bus_.broken; }
  std::size_t said() const { return bus_.log.size(); }

 private:
  using Jobs = std::map<int, std::unique_ptr<Job>>;

  void StartJob() {
    const int number = next_++;
    jobs_[number] = std::make_unique<Job>(bus_, number);
  }
  Jobs::iterator AnyJob() {
    return std::next(jobs_.begin(), static_cast<std::ptrdiff_t>(bus_.Pick(jobs_.size())));
  }
  void StartComet(const std::string& id) {
    bus_.comets[id] = std::make_shared<Comet>(bus_, id, static_cast<std::uint64_t>(++next_));
  }
  void KillComet(const std::string& id) {
    for (auto& [number, job] : jobs_)
      job->Lose(id);
    StartComet(id);
  }

  // Logic: appends in order, publishes with the order of two logics that race; one in twenty dies
  // in between, and nobody was told that it was accepted.
  void Say() {
    const int room = static_cast<int>(bus_.Pick(kRooms));
    PushMsg push;
    push.set_type(PushMsg::ROOM);
    push.set_room("r://" + std::to_string(room));
    push.set_msg(std::to_string(++said_));
    push.set_accepted_us(bus_.now_ms * 1000);
    bool dies = false;
    if (room % 2 == 0) {
      auto& kept = bus_.timelines[push.room()];
      push.set_epoch(1);
      push.set_seq(kept.size() + 1);
      kept.push_back(push.SerializeAsString());
      dies = bus_.Chance(5);
    }
    if (dies) return;
    LogRow row{room % kPartitions, push.SerializeAsString(), push.room() + "#" + push.msg()};
    if (push.seq() > 0 && bus_.Chance(20)) {
      late_.push_back(std::move(row));  // another logic is faster
      return;
    }
    bus_.log.push_back(std::move(row));
    if (bus_.Chance(70)) PublishLate();
  }
  void PublishLate() {
    for (; !late_.empty(); late_.pop_front())
      bus_.log.push_back(std::move(late_.front()));
  }

  void Run(std::size_t steps, bool trouble) {
    for (std::size_t step = 0; step < steps && bus_.broken.empty(); ++step) {
      bus_.now_ms += 250;
      for (std::size_t n = silent_ ? 0 : bus_.Pick(6); n > 0; --n)
        Say();
      PublishLate();
      std::vector<Job*> order;
      for (auto& [number, job] : jobs_)
        if (!trouble || !paused_.contains(number)) order.push_back(job.get());
      std::shuffle(order.begin(), order.end(), bus_.random);
      for (Job* job : order)
        Step(*job, trouble);
    }
  }
  // A job that was paused may read and send before it looks at its leases.
  void Step(Job& job, bool trouble) {
    job.SeeComets();
    const bool late = bus_.Chance(50);
    if (!late) job.Turn(jobs_.size());
    job.ReadSome(1 + bus_.Pick(20));
    for (std::size_t i = bus_.Pick(20) + 4; i > 0; --i)
      job.Move(trouble ? break_percent_ : 0);
    if (late) job.Turn(jobs_.size());
    if (!trouble) job.Settle();
    job.SaveCheckpoints();
  }

  Bus bus_;
  Jobs jobs_;
  std::set<int> paused_;
  std::deque<LogRow> late_;
  int next_ = 1;
  int said_ = 0;
  int break_percent_ = 0;
  bool silent_ = false;  // nobody says anything more
};

// One seed again: ENCKE_SEED=17 build/release/tests/simulation/simulation
TEST(PushPath, NothingIsLostOrderIsKeptRepeatsAreOnlyOfWhatWasNotAcknowledged) {
  ASSERT_TRUE(log::SetLevel("error"));
  const char* one = std::getenv("ENCKE_SEED");
  const std::uint64_t first = one != nullptr ? std::strtoull(one, nullptr, 10) : 1;
  const std::uint64_t last = one != nullptr ? first : 3000;
  std::size_t said = 0;
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    Simulation simulation(seed);
    simulation.Trouble();
    simulation.Finish();
    ASSERT_EQ(simulation.broken(), "") << "ENCKE_SEED=" << seed;
    said += simulation.said();
  }
  EXPECT_GT(said, last - first);
}

}  // namespace
}  // namespace encke::simulation

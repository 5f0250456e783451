#include "push/sheaf.h"

#include <memory>
#include <utility>

#include "base/ids.h"
#include "base/threads.h"
#include "bus/push_log.h"

namespace encke::push {
namespace {

// Waits for the entries of one partition.
class Tally {
 public:
  Tally(std::size_t entries, std::vector<Sheaf::OnStored> waiting)
      : state_(State{entries, Ok{}}), waiting_(std::move(waiting)) {}

  void Stored(const Result<std::uint64_t>& stored) {
    const bool last = state_.With([&](State& s) {
      if (!stored && s.outcome) s.outcome = stored.error();
      return --s.missing == 0;
    });
    if (!last) return;
    const Status outcome = state_.With([](const State& s) { return s.outcome; });
    for (const Sheaf::OnStored& done : waiting_)
      done(outcome);
  }

 private:
  struct State {
    std::size_t missing = 0;
    Status outcome{Ok{}};
  };
  Guarded<State> state_;
  const std::vector<Sheaf::OnStored> waiting_;
};

}  // namespace

void Sheaf::Add(int partition, std::string push, OnStored done) {
  Straws& straws = by_partition_[partition];
  straws.pushes.push_back(std::move(push));
  straws.waiting.push_back(std::move(done));
}

void Sheaf::Leave(const Publish& publish) {
  for (auto& [partition, straws] : std::exchange(by_partition_, {})) {
    std::vector<std::string> entries = bus::Bundle(std::move(straws.pushes));
    const auto tally = std::make_shared<Tally>(entries.size(), std::move(straws.waiting));
    for (std::string& entry : entries) {
      publish(partition, NewUuid(), std::move(entry),
              [tally](const Result<std::uint64_t>& stored) { tally->Stored(stored); });
    }
  }
}

}  // namespace encke::push

#pragma once
// Crowd: all clients of this process, on --threads swarms.
//
// Owner    a run or a member.
// Thread   one.
// Limit    as Swarm.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "client/swarm.h"
#include "options.h"

namespace encke::bench {

class Crowd {
 public:
  explicit Crowd(const Options& options);

  void Connect(double rate);  // begins; everybody who is not connected
  // Until no connect is under way; `each_second` is called while it waits.
  void AwaitSettled(const std::function<void()>& each_second = {});
  double ramp_seconds() const { return ramp_seconds_; }  // of the newest ramp, when settled
  int Drop();
  void Churn(double rate);
  void Heartbeat(double seconds);
  void Reset(std::uint32_t run);
  Tally Report();
  std::vector<std::uint32_t> Members();  // ready clients of each group
  std::int64_t ready() const { return Sum(&Swarm::ready); }
  std::int64_t delivered() const { return Sum(&Swarm::delivered); }
  std::int64_t failed() const { return Sum(&Swarm::failed); }
  // Until `expected` deliveries are here and it has been quiet for a moment after them (repeats
  // would show), or none came for `patience` seconds.
  void AwaitDelivered(std::int64_t expected, double patience);

 private:
  std::int64_t Sum(std::atomic<std::int64_t> Swarm::*counter) const;

  std::vector<std::unique_ptr<Swarm>> swarms_;
  std::int64_t ramp_from_us_ = 0;
  double ramp_seconds_ = 0;
};

}  // namespace encke::bench

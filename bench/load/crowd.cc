#include "load/crowd.h"

#include <algorithm>
#include <chrono>

#include "clock.h"

namespace encke::bench {
namespace {

void Nap(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

}  // namespace

Crowd::Crowd(const Options& options) {
  int first = 0;
  for (int t = 0; t < options.threads; ++t) {
    const int share =
        options.connections / options.threads + (t < options.connections % options.threads ? 1 : 0);
    swarms_.push_back(std::make_unique<Swarm>(options, first, share));
    first += share;
  }
}

void Crowd::Connect(double rate) {
  ramp_from_us_ = NowUs();
  for (const auto& swarm : swarms_)
    swarm->Connect(rate / static_cast<double>(swarms_.size()));
}

void Crowd::AwaitSettled(const std::function<void()>& each_second) {
  for (int turn = 1;; ++turn) {
    std::int64_t latest = 0;
    bool settled = true;
    for (const auto& swarm : swarms_) {
      const std::int64_t at = swarm->settled_us;
      settled = settled && at != 0;
      latest = std::max(latest, at);
    }
    if (settled) {
      ramp_seconds_ = static_cast<double>(latest - ramp_from_us_) / 1e6;
      return;
    }
    if (turn % 20 == 0 && each_second) each_second();
    Nap(50);  // the swarm says when it settled; fifty harnesses share two cores with what they load
  }
}

int Crowd::Drop() {
  int dropped = 0;
  for (const auto& swarm : swarms_)
    dropped += swarm->Drop();
  return dropped;
}

void Crowd::Churn(double rate) {
  for (const auto& swarm : swarms_)
    swarm->Churn(rate / static_cast<double>(swarms_.size()));
}

void Crowd::Heartbeat(double seconds) {
  for (const auto& swarm : swarms_)
    swarm->Heartbeat(seconds);
}

void Crowd::Reset(std::uint32_t run) {
  for (const auto& swarm : swarms_)
    swarm->Reset(run);
}

Tally Crowd::Report() {
  Tally all;
  for (const auto& swarm : swarms_)
    all.Merge(swarm->Report());
  return all;
}

std::vector<std::uint32_t> Crowd::Members() {
  std::vector<std::uint32_t> groups;
  for (const auto& swarm : swarms_)
    swarm->AddMembers(&groups);
  return groups;
}

void Crowd::AwaitDelivered(std::int64_t expected, double patience) {
  std::int64_t last = -1;
  std::int64_t changed_us = NowUs();
  while (true) {
    const std::int64_t now = delivered();
    if (now != last) changed_us = NowUs();
    last = now;
    const double quiet = static_cast<double>(NowUs() - changed_us) / 1e6;
    if (quiet > (now >= expected ? 0.2 : patience)) return;
    Nap(5);
  }
}

std::int64_t Crowd::Sum(std::atomic<std::int64_t> Swarm::*counter) const {
  std::int64_t sum = 0;
  for (const auto& swarm : swarms_)
    sum += (*swarm.*counter).load();
  return sum;
}

}  // namespace encke::bench

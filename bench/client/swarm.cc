#include "client/swarm.h"

#include <algorithm>
#include <array>
#include <future>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "client/codec.h"
#include "clock.h"

namespace encke::bench {
namespace {

constexpr std::size_t kBufferBytes = 256 * 1024;
constexpr std::uint64_t kWake = ~std::uint64_t{0};

}  // namespace

Swarm::Swarm(const Options& options, int first, int count)
    : options_(options),
      first_(first),
      comets_(ParseComets(options.comets)),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      clients_(static_cast<std::size_t>(count)),
      buffer_(kBufferBytes),
      pending_(1),
      run_(static_cast<std::uint32_t>(options.run)) {
  ParseSources(options.sources, comets_, &sources_);
  for (std::size_t i = 0; i < clients_.size(); ++i) {
    const auto number = static_cast<std::size_t>(first_) + i;
    clients_[i].ws = options.transport == "ws" ||
                     (options.transport == "mix" && number / comets_.size() % 2 == 1);
  }
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kWake;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event);
  now_us_ = beat_from_us_ = NowUs();
  beat_period_us_ = options.heartbeat * 1e6;
  thread_ = std::thread([this] { Loop(); });
}

Swarm::~Swarm() {
  Call([this] { stop_ = true; });
  thread_.join();
  for (auto& client : clients_) {
    if (client.fd >= 0) Close(client);
  }
  close(wake_);
  close(epoll_);
}

void Swarm::Call(std::function<void()> task) {
  std::promise<void> done;
  {
    const std::lock_guard lock(tasks_mutex_);
    tasks_.push_back([&task, &done, this] {
      task();
      Tell();
      done.set_value();
    });
  }
  eventfd_write(wake_, 1);
  done.get_future().wait();
}

void Swarm::Connect(double rate) {
  Call([this, rate] {
    waiting_.clear();
    again_.clear();
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      clients_[i].attempts = 0;
      if (clients_[i].stage == Stage::kIdle) waiting_.push_back(i);
    }
    ramp_rate_ = rate;
    ramp_from_us_ = NowUs();
    ramp_begun_ = 0;
    settled_us = 0;
    tally_.connect_us = Histogram();  // of the newest ramp
    tally_.failed = 0;
  });
}

int Swarm::Drop() {
  int dropped = 0;
  Call([this, &dropped] {
    waiting_.clear();
    again_.clear();
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      if (clients_[i].stage == Stage::kReady) ++dropped;
      if (clients_[i].fd >= 0) Leave(i);
    }
  });
  return dropped;
}

void Swarm::Churn(double rate) {
  Call([this, rate] {
    churn_rate_ = rate;
    churn_from_us_ = NowUs();
    churned_ = 0;
    ramp_rate_ = 0;
  });
}

void Swarm::Heartbeat(double seconds) {
  Call([this, seconds] {
    beat_period_us_ = seconds * 1e6;
    beat_from_us_ = NowUs();
    beats_ = 0;
  });
}

void Swarm::Reset(std::uint32_t run) {
  Call([this, run] {
    tally_ = Tally();
    tracks_.clear();
    run_ = run;
    for (auto& client : clients_)
      client.track = Track();
  });
}

Tally Swarm::Report() {
  Tally copy;
  Call([this, &copy] { copy = tally_; });
  return copy;
}

void Swarm::AddMembers(std::vector<std::uint32_t>* groups) {
  Call([this, groups] {
    const auto size = static_cast<std::size_t>(options_.group_size());
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      if (clients_[i].stage != Stage::kReady) continue;
      const std::size_t group = (static_cast<std::size_t>(first_) + i) / size;
      if (group >= groups->size()) groups->resize(group + 1);
      ++(*groups)[group];
    }
  });
}

void Swarm::Tell() {
  ready.store(ready_, std::memory_order_relaxed);
  failed.store(static_cast<std::int64_t>(tally_.failed), std::memory_order_relaxed);
  delivered.store(static_cast<std::int64_t>(tally_.delivered), std::memory_order_relaxed);
  const bool settled = waiting_.empty() && again_.empty() && under_way_ == 0;
  if (!settled) {
    settled_us = 0;
  } else if (settled_us == 0) {
    settled_us = NowUs();
  }
}

void Swarm::Loop() {
  std::array<epoll_event, 1024> events{};
  while (!stop_) {
    now_us_ = NowUs();
    Ramp();
    Expire();
    Beat();
    ChurnSome();
    Tell();
    const int n = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), Patience());
    bool woken = false;
    for (int k = 0; k < n; ++k) {
      const auto& event = events[static_cast<std::size_t>(k)];
      if (event.data.u64 == kWake) {
        woken = true;
      } else {
        OnEvent(event.data.u64, event.events);
      }
    }
    if (!woken) continue;
    eventfd_t count = 0;
    eventfd_read(wake_, &count);
    std::vector<std::function<void()>> tasks;
    {
      const std::lock_guard lock(tasks_mutex_);
      tasks.swap(tasks_);
    }
    for (const auto& task : tasks)
      task();
  }
}

// How long nothing planned is due, in ms.  An idle swarm wakes four times a second for heartbeats.
int Swarm::Patience() const {
  if (churn_rate_ > 0) return 2;
  if (!waiting_.empty()) return under_way_ < options_.in_progress ? 1 : 50;
  if (!again_.empty() || under_way_ > 0) return 50;
  if (beat_period_us_ <= 0 || ready_ == 0) return -1;
  return std::clamp(static_cast<int>(beat_period_us_ / 4000), 1, 250);
}

// The wheel's places are the clients in order, passed once a period: evenly spread, no timer each,
// and whoever connects is never silent for longer than a period.
void Swarm::Beat() {
  if (beat_period_us_ <= 0 || clients_.empty()) return;
  const auto size = static_cast<std::int64_t>(clients_.size());
  const double periods = static_cast<double>(now_us_ - beat_from_us_) / beat_period_us_;
  const auto due = static_cast<std::int64_t>(periods * static_cast<double>(size));
  if (due - beats_ > size) beats_ = due - size;
  for (; beats_ < due; ++beats_) {
    const auto i = static_cast<std::size_t>(beats_ % size);
    if (clients_[i].stage != Stage::kReady) continue;
    out_.clear();
    AppendHeartbeat(options_.version, clients_[i].ws, &out_);
    if (!Send(clients_[i], out_)) {
      Lose(i);
    } else {
      ++tally_.heartbeats;
    }
  }
}

void Swarm::ChurnSome() {
  if (churn_rate_ <= 0) return;
  const auto due =
      static_cast<std::int64_t>(churn_rate_ * static_cast<double>(now_us_ - churn_from_us_) / 1e6);
  for (; churned_ < due; ++churned_) {
    const std::size_t i = static_cast<std::size_t>(churned_ * 7919) % clients_.size();
    if (clients_[i].stage != Stage::kReady) continue;
    Leave(i);
    clients_[i].attempts = 0;
    waiting_.push_back(i);
    ++tally_.churned;
  }
}

}  // namespace encke::bench

#include "net/loop.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace encke::net {
namespace {

// epoll's 64 bits of data: which watcher (16), what it asked to be told (48).  0 is the mailbox.
constexpr int kDataBits = 48;
constexpr std::uint64_t kDataMask = (std::uint64_t{1} << kDataBits) - 1;
constexpr std::size_t kEventsPerTurn = 512;

struct Mailbox {
  std::vector<Task> tasks;
  bool stopped = false;
};

struct Timer {
  std::int64_t at_ms;
  std::uint64_t number;  // timers of one millisecond run in the order they were set
  Task task;
};

bool Later(const Timer& a, const Timer& b) {
  return a.at_ms != b.at_ms ? a.at_ms > b.at_ms : a.number > b.number;
}

Error SystemError(const char* what) {
  return Error{Errc::kUnavailable, std::string(what) + ": " + std::strerror(errno)};
}

}  // namespace

struct Loop::Impl {
  LoopOptions options;
  int epoll_fd = -1;
  int event_fd = -1;
  Guarded<Mailbox> mailbox;
  std::atomic<bool> stopping{false};
  std::atomic<bool> running{false};
  Counter posts_refused;
  std::vector<Task> taken;  // what was in the mailbox when this turn looked
  std::vector<Task> again, again_now;
  std::vector<Timer> timers;  // a heap, the next one in front
  std::uint64_t timers_set = 0;
  std::vector<Watcher*> watchers;  // index + 1 = the 16 bits; null = forgotten
  std::array<epoll_event, kEventsPerTurn> events{};

  ~Impl() {
    if (epoll_fd >= 0) ::close(epoll_fd);
    if (event_fd >= 0) ::close(event_fd);
  }
  void Ring() const {
    const std::uint64_t one = 1;
    // Full is fine: then the bell rings already.
    [[maybe_unused]] const ssize_t n = ::write(event_fd, &one, sizeof(one));
  }
  void Quiet() const {
    std::uint64_t rung = 0;
    [[maybe_unused]] const ssize_t n = ::read(event_fd, &rung, sizeof(rung));
  }
  std::uint64_t NumberOf(Watcher* watcher) {
    auto found = std::find(watchers.begin(), watchers.end(), watcher);
    if (found == watchers.end()) found = watchers.insert(watchers.end(), watcher);
    assert(watchers.size() < 0xffff);
    return static_cast<std::uint64_t>(found - watchers.begin()) + 1;
  }
};

Loop::Loop() : now_ms_(MonotonicMs()), impl_(std::make_unique<Impl>()) {}
Loop::~Loop() = default;

Result<std::unique_ptr<Loop>> Loop::Make(const LoopOptions& options) {
  std::unique_ptr<Loop> loop(new Loop());
  Impl& impl = *loop->impl_;
  impl.options = options;
  impl.epoll_fd = ::epoll_create1(EPOLL_CLOEXEC);
  if (impl.epoll_fd < 0) return SystemError("epoll");
  impl.event_fd = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (impl.event_fd < 0) return SystemError("eventfd");
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = 0;
  if (::epoll_ctl(impl.epoll_fd, EPOLL_CTL_ADD, impl.event_fd, &event) != 0) {
    return SystemError("epoll_ctl");
  }
  return loop;
}

void Loop::Run() {
  impl_->running.store(true, std::memory_order_relaxed);
  owner_.Check();
  while (!impl_->stopping.load(std::memory_order_acquire))
    Turn(-1);
  RunMailbox();  // nothing is posted any more: what was taken is also done
}

void Loop::Stop() {
  impl_->mailbox.With([](Mailbox& mailbox) { mailbox.stopped = true; });
  impl_->stopping.store(true, std::memory_order_release);
  impl_->Ring();
}

bool Loop::Post(Task task) {
  bool first = false;
  const bool taken = impl_->mailbox.With([&](Mailbox& mailbox) {
    if (mailbox.stopped || mailbox.tasks.size() >= impl_->options.mailbox_max) return false;
    first = mailbox.tasks.empty();
    mailbox.tasks.push_back(std::move(task));
    return true;
  });
  if (!taken) impl_->posts_refused.Add();
  if (first) impl_->Ring();  // whoever posted the first of a heap has rung for the others
  return taken;
}

std::size_t Loop::mailbox_depth() const {
  return impl_->mailbox.With([](const Mailbox& mailbox) { return mailbox.tasks.size(); });
}

const Counter& Loop::posts_refused() const { return impl_->posts_refused; }

Status Loop::Watch(int fd, std::uint32_t events, Watcher* watcher, std::uint64_t data) {
  if (impl_->running.load(std::memory_order_relaxed)) owner_.Check();
  assert((data & ~kDataMask) == 0);
  epoll_event event{};
  event.events = events;
  event.data.u64 = impl_->NumberOf(watcher) << kDataBits | data;
  if (::epoll_ctl(impl_->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
    return SystemError("epoll_ctl");
  }
  return Ok{};
}

void Loop::Unwatch(int fd) { ::epoll_ctl(impl_->epoll_fd, EPOLL_CTL_DEL, fd, nullptr); }

void Loop::Forget(Watcher* watcher) {
  for (Watcher*& known : impl_->watchers) {
    if (known == watcher) known = nullptr;
  }
}

void Loop::Again(Task task) {
  if (impl_->running.load(std::memory_order_relaxed)) owner_.Check();
  impl_->again.push_back(std::move(task));
}

void Loop::After(Duration delay, Task task) {
  if (impl_->running.load(std::memory_order_relaxed)) owner_.Check();
  // The clock is cut to whole milliseconds: one more makes "at least" true.
  const std::int64_t at_ms = MonotonicMs() + (delay.count() > 0 ? delay.count() + 1 : 0);
  impl_->timers.push_back(Timer{at_ms, impl_->timers_set++, std::move(task)});
  std::push_heap(impl_->timers.begin(), impl_->timers.end(), Later);
}

int Loop::WaitMs(int max_wait_ms) const {
  if (!impl_->again.empty() || impl_->stopping.load(std::memory_order_acquire)) return 0;
  std::int64_t wake_ms = impl_->timers.empty() ? kNever : impl_->timers.front().at_ms;
  for (const Watcher* watcher : impl_->watchers) {
    if (watcher != nullptr) wake_ms = std::min(wake_ms, watcher->WakeMs());
  }
  if (wake_ms == kNever) return max_wait_ms;
  constexpr std::int64_t kLongest = 60'000;
  const auto wait =
      static_cast<int>(std::clamp(wake_ms - MonotonicMs(), std::int64_t{0}, kLongest));
  return max_wait_ms < 0 ? wait : std::min(wait, max_wait_ms);
}

void Loop::Turn(int max_wait_ms) {
  owner_.Check();
  Impl& impl = *impl_;
  const int ready =
      ::epoll_wait(impl.epoll_fd, impl.events.data(), kEventsPerTurn, WaitMs(max_wait_ms));
  const std::int64_t begin_us = MonotonicUs();
  now_ms_ = begin_us / 1000;
  for (int i = 0; i < ready; ++i) {
    const epoll_event& event = impl.events[static_cast<std::size_t>(i)];
    const std::uint64_t number = event.data.u64 >> kDataBits;
    if (number == 0) {
      impl.Quiet();
    } else if (Watcher* watcher = impl.watchers[number - 1]; watcher != nullptr) {
      watcher->OnReady(event.events, event.data.u64 & kDataMask);
    }
  }
  RunMailbox();
  RunAgain();
  RunTimers();
  for (std::size_t i = 0; i < impl.watchers.size(); ++i) {
    if (impl.watchers[i] != nullptr) impl.watchers[i]->OnTurnEnd();
  }
  turn_us_.Observe(static_cast<std::uint64_t>(MonotonicUs() - begin_us));
}

void Loop::RunMailbox() {
  std::vector<Task>& taken = impl_->taken;
  impl_->mailbox.With([&](Mailbox& mailbox) { mailbox.tasks.swap(taken); });
  for (Task& task : taken) {
    task();
    task = nullptr;  // what it held is let go before the next one runs
  }
  constexpr std::size_t kKeep = 1024;  // a burst does not leave its memory behind
  if (taken.capacity() > kKeep) taken = {};
  taken.clear();
}

void Loop::RunAgain() {
  impl_->again_now.swap(impl_->again);  // what these ask for is a matter of the next turn
  for (Task& task : impl_->again_now)
    task();
  impl_->again_now.clear();
}

void Loop::RunTimers() {
  std::vector<Timer>& timers = impl_->timers;
  const std::uint64_t set_before = impl_->timers_set;
  while (!timers.empty() && timers.front().at_ms <= now_ms_ && timers.front().number < set_before) {
    std::pop_heap(timers.begin(), timers.end(), Later);
    const Task task = std::move(timers.back().task);
    timers.pop_back();
    task();
  }
}

}  // namespace encke::net

#pragma once
// Threads: the only tools that cross threads besides a loop's Post.
//
// Owner    Guarded and Gate are members of what they protect.
// Thread   ThreadOwner: bound to the first thread that calls Check.  Guarded, Gate: any.
// Limit    none.

#include <atomic>
#include <cassert>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include <pthread.h>

namespace encke {

// Asserts that a confined object is touched by one thread only.
class ThreadOwner {
 public:
  void Check() const {
    if (id_ == std::thread::id()) id_ = std::this_thread::get_id();
    assert(id_ == std::this_thread::get_id());
  }

 private:
  mutable std::thread::id id_;
};

// A value that cannot be reached without its lock.
template <class T>
class Guarded {
 public:
  Guarded() = default;
  explicit Guarded(T value) : value_(std::move(value)) {}
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  template <class F>
  decltype(auto) With(F&& act) {
    std::lock_guard lock(mutex_);
    return std::forward<F>(act)(value_);
  }
  template <class F>
  decltype(auto) With(F&& act) const {
    std::lock_guard lock(mutex_);
    return std::forward<F>(act)(value_);
  }

 private:
  mutable std::mutex mutex_;
  T value_{};
};

// Counts who is inside and can be shut: first the door closes, then we wait for the last one.
class Gate {
 public:
  class Pass {
   public:
    explicit Pass(Gate* gate) : gate_(gate) {}
    Pass(Pass&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)) {}
    Pass& operator=(Pass&&) = delete;
    ~Pass() {
      if (gate_ != nullptr) gate_->Leave();
    }

   private:
    Gate* gate_;
  };

  std::optional<Pass> TryEnter() {
    std::lock_guard lock(mutex_);
    if (shut_) return std::nullopt;
    ++inside_;
    return Pass(this);
  }

  void CloseAndWait() {
    std::unique_lock lock(mutex_);
    shut_ = true;
    empty_.wait(lock, [this] { return inside_ == 0; });
  }

 private:
  void Leave() {
    std::lock_guard lock(mutex_);
    if (--inside_ == 0) empty_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable empty_;
  int inside_ = 0;
  bool shut_ = false;
};

// A thread that can wait for a while and be told to hurry: for periodic work (registry, leases).
// Wait returns true when the time is up or Wake was called, false when Stop was called.
class Pulse {
 public:
  bool Wait(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, time, [this] { return stopped_ || woken_; });
    woken_ = false;
    return !stopped_;
  }
  void Wake() {
    std::lock_guard lock(mutex_);
    woken_ = true;
    changed_.notify_all();
  }
  void Stop() {
    std::lock_guard lock(mutex_);
    stopped_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool woken_ = false;
  bool stopped_ = false;
};

inline void NameThread(const char* name) { pthread_setname_np(pthread_self(), name); }

}  // namespace encke

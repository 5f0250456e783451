#pragma once
// Pump: the pull model of stream.h, without saying which end of a call it is.
//
// The life of a pump: attached -> closed (no more Fill) -> ended (our goodbye is on its way) ->
// done. `busy` belongs to whoever may start a write: a pull that is scheduled or runs, or the write
// in flight.  The goodbye waits until nobody is busy, so gRPC never sees a start after it.
//
// Owner    shared by the user (as StreamHandle), by gRPC until Done, and by pulls under way.
// Thread   any; see stream.h.
// Limit    one pull, one write and one read at a time.

#include <memory>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/threads.h"
#include "rpc/later.h"
#include "rpc/stream.h"

namespace encke::rpc {

inline constexpr Duration kGoodbyePatience{1000};

template <class Out, class In>
class Pump : public StreamHandle, public std::enable_shared_from_this<Pump<Out, In>> {
 public:
  using User = StreamUser<Out, In>;

  void Kick() override {
    // Not here: the caller may hold a lock that Fill takes.
    if (Want()) PullSoon();
  }

  void KickHere() override {
    if (!Want()) return;
    if (MonotonicUs() < next_us_) return PullSoon();
    Pull();
  }

  void Close() override { Shut("closed here", /*broken=*/false); }

 protected:
  // What the two ends do differently.  End: our goodbye; `broken` says that the call is dead
  // already.
  virtual void Write(const Out* out) = 0;
  virtual void Read(In* in) = 0;
  virtual void End(bool broken) = 0;
  virtual void Cancel() = 0;
  virtual void Release() {}  // the call is over: lets go of what it needed

  void Attach(std::shared_ptr<User> user) {
    user_ = std::move(user);
    Read(&in_);
    const bool mine = state_.With([](State& s) {
      s.attached = true;
      if (!s.wanted || s.closed) return false;
      return s.busy = true;
    });
    if (mine) PullSoon();
    Settle();  // Close may have come before us
  }

  void OnRead(bool ok) {
    if (!ok) return Shut("closed by peer", /*broken=*/true);
    Reading();
    Deliver();
  }

  // The two halves of OnRead(true), for an end that may deliver on another thread.  Reading answers
  // false when our goodbye was faster than this message.
  bool Reading() {
    return state_.With([](State& s) {
      ++s.reading;
      return !s.ended;
    });
  }
  void Deliver() {
    user_->OnMessage(in_);
    Delivered();
  }
  bool TryDeliver() {
    if (!user_->TryMessage(in_)) return false;
    Delivered();
    return true;
  }

  void OnWritten(bool ok) {
    if (ok) return WrittenWell();
    state_.With([](State& s) { s.busy = false; });
    Cancel();  // a failed write does not end the call by itself
    Shut("write failed", /*broken=*/true);
  }

  void Shut(const std::string& why, bool broken) {
    const bool first = state_.With([&](State& s) {
      if (broken) s.broken = true;
      if (s.closed) return false;
      s.why = why;
      return s.closed = true;
    });
    if (first && !broken) {
      goodbye_.RunAfter(kGoodbyePatience, [self = this->shared_from_this()] { self->CutOff(); });
    }
    Settle();
  }

  // gRPC is through with this call; nobody pulls, reads or writes any more.
  void Done(const std::string& status) {
    std::string why = state_.With([](State& s) {
      s.done = true;
      return s.why;
    });
    goodbye_.Cancel();
    Release();
    if (!status.empty()) why = why.empty() ? status : why + ", " + status;
    if (auto user = std::exchange(user_, nullptr)) user->OnClosed(why);
  }

 private:
  // `busy` is ours, of the write.
  void WrittenWell() {
    const bool more = user_->Written();
    const bool go = state_.With([more](State& s) {
      s.wanted = s.wanted || more;
      return s.busy = s.wanted && !s.closed;
    });
    go ? PullSoon() : Settle();
  }

  void Delivered() {
    Read(&in_);
    state_.With([](State& s) { --s.reading; });
    Settle();
  }

  struct State {
    bool attached = false;
    bool busy = false;
    int reading = 0;      // messages being delivered: the next one may come before Read returns
    bool wanted = false;  // a Kick that no Fill has answered yet
    bool closed = false;
    bool broken = false;
    bool ended = false;
    bool done = false;
    std::string why;
  };

  // True: `busy` is the caller's.
  bool Want() {
    return state_.With([](State& s) {
      s.wanted = true;
      if (!s.attached || s.busy || s.closed) return false;
      return s.busy = true;
    });
  }

  // The caller owns `busy`.  A first message leaves at once, those behind it as one: each costs
  // some ten wake-ups on its way.
  void PullSoon() {
    const std::int64_t wait_us = next_us_ - MonotonicUs();
    const Duration wait{wait_us > 0 ? (wait_us + 999) / 1000 : 0};
    Later::Run(wait, [self = this->shared_from_this()] { self->Pull(); });
  }

  // The caller owns `busy`.
  void Pull() {
    while (Wanted()) {
      out_.Clear();
      if (!user_->Fill(&out_)) continue;
      next_us_ = MonotonicUs() + user_->Gap().count() * 1000;
      return Write(&out_);  // OnWritten owns `busy` now
    }
    Settle();
  }

  // Gives `busy` back when there is nothing to pull for.
  bool Wanted() {
    return state_.With([](State& s) {
      s.busy = s.wanted && !s.closed;
      s.wanted = false;
      return s.busy;
    });
  }

  void Settle() {
    bool broken = false;
    const bool mine = state_.With([&](State& s) {
      broken = s.broken;
      if (!s.attached || !s.closed || s.busy || s.reading > 0 || s.ended) return false;
      return s.ended = true;
    });
    if (mine) End(broken);
  }

  void CutOff() {
    // Under the lock: Done takes it too, and after Done there is no call to cancel.
    state_.With([this](State& s) {
      if (!s.done) Cancel();
    });
  }

  std::shared_ptr<User> user_;  // set before attached, gone with Done
  Out out_;
  In in_;
  std::int64_t next_us_ = 0;  // the next write, at the earliest; of whoever owns `busy`
  Guarded<State> state_;
  Later goodbye_;
};

}  // namespace encke::rpc

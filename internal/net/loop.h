#pragma once
// Loop: one thread, one epoll, one mailbox, one timer wheel.  Inside it there are no locks.
//
// Owner    main (through comet's Shard); owns its connections.
// Thread   the one that calls Run; only Post, Stop and mailbox_depth may be called by others.
// Limit    mailbox_max tasks: Post answers false past it, counts it, and the caller decides.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/result.h"
#include "base/threads.h"

namespace encke::net {

using Task = std::function<void()>;

struct LoopOptions {
  std::size_t mailbox_max = 65536;  // tasks
};

class Loop {
 public:
  static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

  // Whoever has file descriptors on this loop.
  class Watcher {
   public:
    virtual ~Watcher() = default;
    // events: EPOLLIN etc.; data: as given to Watch.
    virtual void OnReady(std::uint32_t events, std::uint64_t data) = 0;
    // After everything else of each turn.
    virtual void OnTurnEnd() {}
    // When the next turn must come at the latest (monotonic ms); asked before the loop blocks.
    virtual std::int64_t WakeMs() const { return kNever; }
  };

  static Result<std::unique_ptr<Loop>> Make(const LoopOptions& options);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Until Stop; the calling thread is the owner from here on.  Every task whose Post answered true
  // has run when Run returns.
  void Run();
  // One turn, blocking for at most max_wait_ms (-1 = until something happens): events, mailbox,
  // Again, After, OnTurnEnd.  Run is nothing but turns; tests take them one by one.
  void Turn(int max_wait_ms);
  void Stop();  // any thread
  // Any thread.  Tasks run in the order of Post.  False: the mailbox is full or the loop was
  // stopped; nothing was taken.
  [[nodiscard]] bool Post(Task task);
  std::size_t mailbox_depth() const;     // any thread: tasks that wait
  const Counter& posts_refused() const;  // any thread: how often Post answered false

  // In loop (or before Run).  data is 48 bits; one Watcher per kind of descriptor.
  Status Watch(int fd, std::uint32_t events, Watcher* watcher, std::uint64_t data);
  void Unwatch(int fd);
  // The watcher dies before the loop does: it is never called again.  Its descriptors are closed
  // or unwatched by then.
  void Forget(Watcher* watcher);
  // Runs once more after the events at hand: for work cut into slices.  While any waits, epoll
  // does not block.
  void Again(Task task);
  // Runs after at least `delay`.
  void After(Duration delay, Task task);
  // Monotonic milliseconds, read once per turn of the loop.
  std::int64_t now_ms() const { return now_ms_; }
  void CheckOwner() const { owner_.Check(); }

  const Histogram& turn_us() const { return turn_us_; }  // time spent working per turn: loop lag

 private:
  struct Impl;
  Loop();
  int WaitMs(int max_wait_ms) const;
  void RunMailbox();
  void RunAgain();
  void RunTimers();

  ThreadOwner owner_;
  std::int64_t now_ms_ = 0;
  Histogram turn_us_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace encke::net

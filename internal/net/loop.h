#pragma once
// Loop: one thread, one epoll, one mailbox, one timer wheel.  Inside it there are no locks.
//
// Owner    main (through comet's Shard); owns its connections.
// Thread   the one that calls Run; only Post, Stop and mailbox_depth may be called by others.
// Limit    mailbox_max tasks: Post answers false past it and the caller decides.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

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
  // Whoever has file descriptors on this loop.
  class Watcher {
   public:
    virtual ~Watcher() = default;
    // events: EPOLLIN etc.; data: as given to Watch.
    virtual void OnReady(std::uint32_t events, std::uint64_t data) = 0;
  };

  static Result<std::unique_ptr<Loop>> Make(const LoopOptions& options);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  void Run();   // until Stop; the calling thread is the owner from here on
  void Stop();  // any thread
  // Any thread.  Tasks run in the order of Post.  False: the mailbox is full, nothing was taken.
  [[nodiscard]] bool Post(Task task);

  // In loop (or before Run).  data is 48 bits; one Watcher per kind of descriptor.
  Status Watch(int fd, std::uint32_t events, Watcher* watcher, std::uint64_t data);
  void Unwatch(int fd);
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

  ThreadOwner owner_;
  std::int64_t now_ms_ = 0;
  Histogram turn_us_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace encke::net

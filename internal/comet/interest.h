#pragma once
// Interest: which rooms have a member on this comet, and which jobs know it ("join means join").
//
// A room's first member is answered only when every connected job has confirmed that it routes the
// room here, or after join_wait (counted).  A room that empties stays of interest for `linger`, so
// that flapping rooms cost nothing.
//
// Owner    main of comet.
// Thread   any (guarded inside); WhenKnown's callback comes on any thread: post it home.  It is
//          called without any lock held.
// Limit    one entry per room with members; waiting callbacks: one per joining connection.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/comet.pb.h"

#include "base/clock.h"
#include "base/metrics.h"

namespace encke::comet {

struct InterestOptions {
  Duration join_wait{200};
  Duration linger{5000};
};

struct InterestCounts {
  Counter waits, waits_timed_out;
};

class Interest {
 public:
  explicit Interest(const InterestOptions& options);
  ~Interest();
  Interest(const Interest&) = delete;
  Interest& operator=(const Interest&) = delete;

  // A shard's first member of the room came, or its last one went (hub::Hub::on_presence).
  void Present(std::string_view room, bool present);
  // Declares interest in the room (for `linger` at least, members or not), so that it can be called
  // before the channel joins the room in the hub.
  // done(true): every connected job routes this room here (inline when that is so already, or when
  // no job is connected); done(false): join_wait ran out.
  void WhenKnown(std::string_view room, std::function<void(bool)> done);

  // Ends waits and lingers that ran out.  Called every 20 ms or so, by anybody, MonotonicMs().
  void Tick(std::int64_t now_ms);

  // One connected job, as PushDoor sees it.  `kick` is called when there is something to send.
  using JobId = std::uint64_t;
  JobId AddJob(std::function<void()> kick);
  void RemoveJob(JobId job);
  bool Fill(JobId job,
            ::encke::Interest* out);  // snapshot first, then deltas; false: nothing waits
  void Confirmed(JobId job, std::uint64_t number);

  std::size_t rooms() const;
  const InterestCounts& counts() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace encke::comet

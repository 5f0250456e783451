#pragma once
// Interest: which rooms have a member on this comet, and which jobs know it ("join means join").
//
// A room's first member is answered only when every connected job has confirmed that it routes the
// room here, and every expected one is or was just connected; or after join_wait (counted).  A job
// that was just connected has not given us up: it holds what it may have judged wrongly against our
// next snapshot.  A room that empties stays of interest for `linger`, so that flapping rooms cost
// nothing.
//
// Owner    main of comet.
// Thread   any (guarded inside); WhenKnown's callback comes on any thread: post it home.  It is
//          called without any lock held.
// Limit    one entry per room with members or lingering; waiting callbacks: one per joining
//          connection.  Rooms that were left are kept until every job was told, but no more of them
//          than there are rooms (or 65,536): the oldest are forgotten and counted, which costs a
//          slow job pushes in vain until its next snapshot, and nobody a message.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/comet.pb.h"

#include "base/clock.h"
#include "base/metrics.h"
#include "base/units.h"

namespace encke::downlink {

struct InterestOptions {
  Duration join_wait{200};
  Duration linger{5000};
  Duration grace{5000};  // a job lost its stream so lately that it has not given us up
  std::size_t message_bytes_max = 8 * kMega;  // of room names in one Fill
  std::size_t left_rooms_max = 65'536;
  std::function<std::int64_t()> now_ms = &MonotonicMs;
};

struct InterestCounts {
  Counter waits, waits_timed_out;
  Counter forgotten;  // rooms left that some job will not be told of
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

  // The jobs that the registry names: nothing is known as long as one of them never connected.
  void Expect(const std::vector<std::string>& jobs);
  std::size_t missing() const;  // of them, now

  // Ends waits and lingers that ran out.  Called every 20 ms or so, by anybody, with the clock of
  // InterestOptions::now_ms.
  void Tick(std::int64_t now_ms);

  // One connected job, as PushDoor sees it.  `kick` is called when there is something to send, at
  // most once between two Fills, from any thread, perhaps still once after RemoveJob.  The first
  // Fill, a snapshot, needs no kick.
  using JobId = std::uint64_t;
  JobId AddJob(std::function<void()> kick);
  void Named(JobId job, const std::string& name);  // it said who it is
  void RemoveJob(JobId job);
  bool Fill(JobId job,
            ::encke::Interest* out);  // snapshot first, then deltas; false: nothing waits
  void Confirmed(JobId job, std::uint64_t number);

  std::size_t rooms() const;  // with members, or lingering
  const InterestCounts& counts() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace encke::downlink

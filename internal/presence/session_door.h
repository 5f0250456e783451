#pragma once
// SessionDoor: logic's end of the streams from all comets: who comes, stays, goes, and how many are
// where.
//
// Answers gather per stream and leave in one message when the previous write is done.  When Redis
// may have forgotten sessions (it came back empty, or as another process) every comet is told to
// announce its own again.
//
// Owner    main of logic; borrows Auth and SessionPorts.  The gRPC server and Redis are stopped
//          before it goes.
// Thread   any: gRPC threads bring events, the Redis thread brings answers, one of its own ticks.
// Limit    connects_max logins under way per stream (past it: refused with retry), answer_bytes_max
//          unsent per stream (past it: that stream is closed), one report under way per stream.

#include <cstdint>
#include <functional>
#include <memory>

#include "auth/auth.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "presence/session_ports.h"
#include "rpc/streams.h"

namespace encke::presence {

struct SessionDoorOptions {
  Duration heartbeat{480'000};  // silence after which a comet closes a connection
  Duration session_expire{30 * 60'000};
  Duration online_expire{60'000};
  Duration tick{1000};  // 0: nobody ticks but the caller of Tick
  std::size_t connects_max = 65'536;
  std::size_t answer_bytes_max = 32 << 20;
  std::size_t asks_max = 16'384;  // questions under way per stream; past it: refused with retry
};

struct SessionCounts {
  Counter streams_opened, streams_cut;  // cut: it did not take its answers
  Counter arrived, replaced, refused;   // refused: by Auth, which counts why
  Counter busy, store_failed;           // told to try again: connects_max, Redis
  Counter renewed, renew_outdated, departed;
  Counter undone;  // logins whose stream was gone when they were stored
  Counter upstream_messages, upstream_bytes;
  Counter reports, report_failures;
  Counter announces;  // times all comets were told
  Counter asks, asks_busy;
  Counter rooms_refused;  // asked for at a login
  Counter keys_refused;   // logins whose client wished for another user's key
  Gauge streams;
};

class SessionDoor {
 public:
  SessionDoor(auth::Auth& auth, SessionPorts& ports, const SessionDoorOptions& options);
  ~SessionDoor();
  SessionDoor(const SessionDoor&) = delete;
  SessionDoor& operator=(const SessionDoor&) = delete;

  // For rpc::MakeSessionService; null while closing.
  std::shared_ptr<rpc::SessionServerUser> Accept(std::shared_ptr<rpc::StreamHandle> stream);
  // What is done every `tick`: looks at Redis' memory, at totals, at reports that failed.
  void Tick();
  // Refuses new streams, ends those there are; false: some are still there after `patience`.
  bool Close(Duration patience);
  const SessionCounts& counts() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace encke::presence

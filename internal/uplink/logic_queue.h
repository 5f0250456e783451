#pragma once
// LogicQueue: events on their way to logic, and the Connects that wait for their answer.
//
// A Connect stays here until answered or given up, so that it can be said again on a new stream;
// a Disconnect stays for kRepeatMs after it was handed out, for the same reason.
//
// Owner    LogicLink, inside its lock.
// Thread   none of its own.
// Limit    events_max Connects, renewals, disconnects and upstream packages each; bytes_max of
//          Connects and of upstream packages, whose size strangers choose.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>
#include <vector>

#include "api/logic.pb.h"

#include "uplink/stats.h"

namespace encke::uplink {

class LogicQueue {
 public:
  static constexpr std::int64_t kRepeatMs = 5'000;
  static constexpr std::size_t kBatchBytes = 1024 * 1024;

  LogicQueue(std::size_t events_max, std::size_t bytes_max, LinkStats& stats)
      : events_max_(events_max), bytes_max_(bytes_max), stats_(stats) {}

  bool Arrive(Connect ask, std::int64_t now_us);
  bool Renew(Renewal renewal);
  void Depart(Disconnect goodbye);
  bool Receive(Upstream package);

  // About kBatchBytes of what waits; false: nothing does.
  bool Fill(SessionUp* out, std::int64_t now_us);
  // The stream is a new one: what was not confirmed is said again.
  void Restart(std::int64_t now_us);

  // Microseconds from Arrive to now; nullopt: nobody asked, or it was given up.
  std::optional<std::int64_t> Answered(std::uint64_t id, std::int64_t now_us);
  // How long the oldest Connect that was handed out has been unanswered.
  std::int64_t SilenceUs(std::int64_t now_us);
  // Gives up the Connects asked before then; answers their ids.
  std::vector<std::uint64_t> GiveUp(std::int64_t asked_before_us);

  std::size_t waiting() const { return asks_.size(); }
  // Nothing waits to be handed out.
  bool empty() const {
    return unsent_.empty() && renewals_.empty() && disconnects_.empty() && upstreams_.empty();
  }

 private:
  struct Ask {
    Connect event;
    std::int64_t asked_us = 0;
    std::int64_t sent_us = 0;  // 0 = not yet
  };
  struct Mark {  // valid while asks_ still has the id with this time
    std::uint64_t id;
    std::int64_t at_us;
  };
  struct Said {
    Disconnect event;
    std::int64_t at_us;
  };

  void FillConnects(SessionUp* out, std::int64_t now_us, std::size_t* bytes);
  void FillDisconnects(SessionUp* out, std::int64_t now_us, std::size_t* bytes);

  void Forget(std::unordered_map<std::uint64_t, Ask>::iterator ask);

  const std::size_t events_max_;
  const std::size_t bytes_max_;
  LinkStats& stats_;
  std::unordered_map<std::uint64_t, Ask> asks_;
  std::deque<std::uint64_t> unsent_;
  std::deque<Mark> asked_, sent_;  // in order of time; entries of answered Connects are skipped
  std::deque<Renewal> renewals_;
  std::deque<Disconnect> disconnects_;
  std::deque<Said> said_;
  std::deque<Upstream> upstreams_;
  std::size_t ask_bytes_ = 0;
  std::size_t upstream_bytes_ = 0;
};

}  // namespace encke::uplink

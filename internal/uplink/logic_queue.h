#pragma once
// LogicQueue: events on their way to logic, and the questions that wait for their answer.
//
// A Connect or Request stays here until answered or given up, to be said again on a new stream;
// a Disconnect and a report stay for kRepeatMs after they were handed out, for the same reason.  An
// upstream package is handed out once; of those whose stream breaks within kRepeatMs nobody knows
// whether they arrived: they are counted.
//
// Owner    LogicLink, inside its lock.
// Thread   none of its own.
// Limit    events_max Connects, requests, renewals, disconnects and upstream packages each;
//          bytes_max of Connects, of requests and of upstream packages, whose size strangers
//          choose; kReportsMax reports, of which later ones replace earlier ones anyway.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "api/logic.pb.h"

#include "base/units.h"
#include "uplink/ask_table.h"
#include "uplink/stats.h"

namespace encke::uplink {

class LogicQueue {
 public:
  static constexpr std::int64_t kRepeatMs = 5'000;
  static constexpr std::size_t kReportsMax = 10'000;
  static constexpr std::size_t kBatchBytes = kMega;
  // The slower logic answers, the more logins gather: a message for each would cost several times
  // the login itself.
  static constexpr std::size_t kLoginBatches = 2;

  LogicQueue(std::size_t events_max, std::size_t bytes_max, LinkStats& stats)
      : events_max_(events_max),
        bytes_max_(bytes_max),
        stats_(stats),
        connects_(events_max, bytes_max, kLoginBatches),
        requests_(events_max, bytes_max, SIZE_MAX) {}

  bool Arrive(Connect ask, std::int64_t now_us);
  bool Ask(Request request, std::int64_t now_us);
  void Report(std::vector<PushReport> reports);
  bool Renew(Renewal renewal);
  void Depart(Disconnect goodbye);
  bool Receive(Upstream package);

  // About kBatchBytes of what waits; false: nothing does.
  bool Fill(SessionUp* out, std::int64_t now_us);
  // The stream is a new one: what was not confirmed is said again.
  void Restart(std::int64_t now_us);

  // What somebody here still waits for.  Whoever gave up meanwhile is not told; for those that
  // logic let in somebody must say goodbye.
  struct Answers {
    std::vector<ConnectReply> connects;
    std::vector<Reply> replies;
    std::vector<Disconnect> goodbyes;
  };
  Answers Sort(const SessionDown& down, std::int64_t now_us);
  // What logic left without an answer for too long: refused, and may be tried again.
  Answers GiveUp(std::int64_t connects_before_us, std::int64_t requests_before_us);

  AskTable<Connect>& connects() { return connects_; }
  AskTable<Request>& requests() { return requests_; }
  // Nothing waits to be handed out.
  bool empty() const { return connects_.all_said() && requests_.all_said() && NoNews(); }
  // And nobody waits for an answer.
  bool resting() const { return connects_.waiting() == 0 && requests_.waiting() == 0 && NoNews(); }
  // Something waits, and may be handed out now.
  bool Ready(std::int64_t now_us) {
    return !NoNews() || connects_.Ready(now_us) || requests_.Ready(now_us);
  }

 private:
  bool NoNews() const {
    return renewals_.empty() && disconnects_.empty() && upstreams_.empty() && reports_.empty();
  }

  template <class Event>
  struct Said {
    Event event;
    std::int64_t at_us;
  };
  template <class Event>
  using AllSaid = std::deque<Said<Event>>;  // of the last kRepeatMs, `most` of them

  template <class Event>
  static void Trim(AllSaid<Event>* said, std::int64_t now_us, std::size_t most);
  template <class Event>
  static void Repeat(AllSaid<Event>* said, std::deque<Event>* again, std::int64_t now_us);

  const std::size_t events_max_;
  const std::size_t bytes_max_;
  LinkStats& stats_;
  AskTable<Connect> connects_;
  AskTable<Request> requests_;
  std::deque<Renewal> renewals_;
  std::deque<Disconnect> disconnects_;
  AllSaid<Disconnect> said_;
  std::deque<Upstream> upstreams_;
  std::deque<PushReport> reports_;
  AllSaid<PushReport> reported_;
  AllSaid<std::uint64_t> upstreamed_;  // how many at a time
  std::size_t upstream_bytes_ = 0;
};

}  // namespace encke::uplink

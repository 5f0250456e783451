#pragma once
// LogicLink: one session stream to one logic, moved to another when that one breaks, leaves or is
// silent.
//
// Connects and requests are kept until answered and said again on a new stream; disconnects of the
// last seconds too, since nothing confirms them (each event is idempotent).  Room counts start with
// a snapshot on every stream.
//
// Owner    main of comet.
// Thread   any: guarded inside; one thread of its own opens, watches and leaves streams.
// Limit    events_max of each kind, bytes_max of Connects, requests and upstream packages.  Past
// it:
//          Arrive, Ask and Renew are refused, a Depart is dropped and
//          counted (its entry ends by TTL), Receive is dropped, which it also is without a stream.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/units.h"
#include "uplink/census.h"
#include "uplink/logic_port.h"
#include "uplink/stats.h"

namespace encke::uplink {

struct LogicLinkOptions {
  std::string comet;       // our id
  std::uint64_t boot = 0;  // of this start of the process
  std::size_t events_max = 100'000;
  int connects_rate = 0;  // logins handed out a second; 0 = no limit
  std::size_t bytes_max = 64 * kMega;
  Duration answer_timeout{3'000};    // a Connect unanswered that long: logic is silent
  Duration connect_timeout{10'000};  // a Connect nobody answered is given up
  Duration request_timeout{5'000};   // a request likewise
  Duration report_interval{1'000};   // of room counts
  Duration backoff_min{50}, backoff_max{1'000};
};

class LogicLink final : public LogicPort {
 public:
  struct Events {
    std::function<void(ConnectReply)> answer;  // on any thread
    std::function<void()> announce;
    std::function<void(encke::Reply)> reply = nullptr;  // on any thread
  };

  LogicLink(const LogicLinkOptions& options, Census& census);
  ~LogicLink() override;  // Stop
  LogicLink(const LogicLink&) = delete;
  LogicLink& operator=(const LogicLink&) = delete;

  void Start(Events events);
  // Where logics are now, host:port; those offered first are preferred only by chance.
  void SetAddresses(std::vector<std::string> addresses);
  // Waits until everything handed in has been written, at most `patience`; false: not all was.
  bool Flush(Duration patience);
  void Stop();  // no event comes after it

  void Report(std::vector<PushReport> reports);

  bool up() const;
  const LinkStats& stats() const;

  bool Arrive(Connect ask) override;
  bool Ask(Request request) override;
  bool Renew(Renewal renewal) override;
  void Depart(Disconnect goodbye) override;
  bool Receive(Upstream package) override;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace encke::uplink

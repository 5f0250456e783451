#pragma once
// CometLink: one comet: what waits for it, its stream, and which rooms have members there.
//
// Interest is unknown from the moment a stream breaks until the snapshot on the next one: meanwhile
// every room counts as wanted and nothing is sent.  Then what was sent on the old stream goes again
// (same order, same fence), or is dropped when the comet turns out to have been restarted: whoever
// it was meant for is gone.
//
// A comet may know earlier than we do that a stream is dead, and let members into new rooms without
// us.  So whatever it did not want stays in doubt until it has echoed a tick we sent later; what is
// still in doubt when the stream breaks is held against the next snapshot.
//
// Owner    Router; the stream and timers under way share it.
// Thread   any; one lock.
// Limit    queue_bytes_max; past it Offer says kFull, and after stuck_timeout the comet is left
//          behind: entries are dropped and counted until half of the queue is acknowledged.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>

#include "base/clock.h"
#include "base/threads.h"
#include "base/units.h"
#include "job/outbox.h"
#include "job/stats.h"
#include "rpc/streams.h"

namespace encke::job {

struct LinkOptions {
  std::size_t queue_bytes_max = 64 * kMega;
  Duration stuck_timeout{5000};
  Duration retry_min{50};  // between attempts to open a stream, doubling
  Duration retry_max{1000};
  Duration tick_interval{50};  // while something is in doubt
  // After a message of so many pushes the next one gathers for so long: sockets are written once
  // for all that a room was sent in it.
  std::size_t busy_pushes = 8;
  Duration busy_gap{4};
  OutboxOptions outbox{};
};

// The outside world of a link; faked in tests.
struct LinkPorts {
  std::function<std::shared_ptr<rpc::StreamHandle>(const std::string& address,
                                                   std::shared_ptr<rpc::PushClientUser>)>
      open;
  std::function<void(Duration, std::function<void()>)> later;
  std::function<std::int64_t()> now_us;
};
LinkPorts RealPorts();

struct LinkView {
  std::string comet;
  bool up = false;  // stream open, interest known
  bool left_behind = false;
  std::size_t bytes = 0;
  std::size_t entries = 0;
  std::size_t rooms = 0;
};

class CometLink final : public rpc::PushClientUser, public std::enable_shared_from_this<CometLink> {
 public:
  enum class Put : std::uint8_t { kQueued, kNotConcerned, kLeftBehind, kFull };

  struct Names {
    std::string comet;
    std::string address;
    std::string job;
  };
  // gate: holds whoever waits for the last OnClosed of all links.
  CometLink(
      Names names, const LinkOptions& options, const LinkPorts& ports, Stats& stats, Gate& gate);

  void Open();
  void Move(const std::string& address);  // the comet listens elsewhere now
  void Close();                           // for good; what waits is dropped and counted

  Put Offer(const SharedMessage& message, double rate);
  void Forget(int partition);  // its lease is not ours any more
  std::optional<std::uint64_t> Oldest(int partition) const;
  LinkView view() const;

  // The stream.
  bool Fill(PushDown* out) override;
  bool Written() override;
  Duration Gap() override {
    return filled_ < options_.busy_pushes ? Duration(1) : options_.busy_gap;
  }
  void OnMessage(const PushUp& in) override;
  void OnClosed(const std::string& why) override;

 private:
  struct State {
    explicit State(const OutboxOptions& options) : outbox(options) {}

    std::string address;
    bool closing = false;
    // The stream, and what was said on it.
    std::uint64_t serial = 0;  // of streams opened
    bool open = false;
    std::optional<Gate::Pass> pass;
    std::shared_ptr<rpc::StreamHandle> stream;
    bool greeted = false;    // we said who we are
    bool heard = false;      // it said which start of the comet this is
    bool gathering = false;  // its snapshot is not complete
    bool known = false;      // it said which rooms it has
    std::uint64_t tick = 0;  // the last one sent, over all streams
    bool tick_due = false;   // to be sent with the next message
    bool ticking = false;    // a timer runs or an echo is awaited
    std::uint64_t interest_seen = 0;
    std::uint64_t interest_told = 0;
    Duration retry{0};
    // What outlives streams.
    std::uint64_t boot = 0;
    std::unordered_set<std::string> rooms;
    Outbox outbox;
    bool timer = false;
    std::int64_t full_since_us = -1;
    bool left_behind = false;
  };

  static bool Unsaid(const State& s);  // something waits for Fill
  Put Admit(State& s, const SharedMessage& message);
  void Hear(State& s, std::uint64_t boot);
  void Learn(State& s, const Interest& interest);
  void Release(State& s, const PushAck& ack);
  void CalmDown(State& s);
  void Doubt(State& s, const SharedMessage& message);
  void Echoed(State& s, std::uint64_t tick);
  void TickLater(State& s);
  void ArmTimer(State& s);
  void OnTimer();
  void OpenLater(Duration delay);

  const std::string comet_;
  const std::string job_;
  const LinkOptions options_;
  const LinkPorts ports_;
  Stats& stats_;
  Gate& gate_;
  Guarded<State> state_;
  std::size_t filled_ = 0;  // pushes in the last message; of Fill's caller
};

}  // namespace encke::job

#include "uplink/logic_link.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "base/log.h"
#include "base/threads.h"
#include "base/units.h"
#include "rpc/server.h"
#include "rpc/streams.h"
#include "uplink/addresses.h"
#include "uplink/logic_queue.h"

namespace encke::uplink {
namespace {

constexpr Duration kWatch{50};
constexpr Duration kRest{250};  // with nothing under way: many comets may share a machine
constexpr std::size_t kCountsBytes = 4 * kMega;  // of room counts in one message

log::RateLimit link_lines(5);

}  // namespace

class LogicLink::Impl : public std::enable_shared_from_this<LogicLink::Impl> {
 public:
  Impl(const LogicLinkOptions& options, Census& census)
      : options_(options), census_(census), state_(State(options, stats_)) {}

  void Start(Events events);
  void Stop();
  void SetAddresses(std::vector<std::string> addresses);
  bool Flush(Duration patience);
  bool up() const { return stats_.up.value() != 0; }

  // Puts an event into the queue and wakes the stream if something may be said now.
  template <class Put>
  bool Say(const Put& put);
  void Depart(Disconnect goodbye);
  // What a rate or batches under way held back.
  void Resume() {
    (void)Say([](State&) { return true; });
  }
  bool Fill(std::uint64_t epoch, SessionUp* out);
  bool Written(std::uint64_t epoch);
  void OnMessage(std::uint64_t epoch, const SessionDown& down);
  void OnClosed(std::uint64_t epoch, const std::string& why);

  LinkStats stats_;

 private:
  struct State {
    State(const LogicLinkOptions& options, LinkStats& stats)
        : queue(options.events_max, options.bytes_max, stats) {
      queue.connects().SetRate(options.connects_rate);
    }
    LogicQueue queue;
    Addresses addresses;
    // The stream at hand.  Whatever comes from one with another epoch is of the past.
    std::uint64_t epoch = 0;
    bool open = false;
    bool fresh = false;  // its first message has not been made
    bool up = false;     // its first message has been written
    bool writing = false;
    bool kicked = false;
    bool report_due = false;
    bool resting = false;  // the thread looks seldom
    std::int64_t up_since_ms = 0;
    std::string address;
    std::shared_ptr<rpc::StreamHandle> stream;
    std::int64_t next_try_ms = 0;
    Duration backoff{0};
  };
  Duration Step();
  void Watch();
  void OpenOne();
  void LeaveIf(const std::function<Counter*(State&)>& why);
  void Reset(State& s, bool failed);
  void GiveUpOld();
  void HandOut(LogicQueue::Answers answers);  // inside the gate
  void Report();

  const LogicLinkOptions options_;
  Census& census_;
  Events events_;
  Gate gate_;  // events are called inside
  Guarded<State> state_;
  Pulse pulse_;
  std::thread thread_;
  std::int64_t reported_ms_ = 0;
};

namespace {

// Ties one stream to the link that opened it.
template <class Link>
class Stream final : public rpc::SessionClientUser {
 public:
  Stream(std::shared_ptr<Link> link, std::uint64_t epoch) : link_(std::move(link)), epoch_(epoch) {}
  bool Fill(SessionUp* out) override { return link_->Fill(epoch_, out); }
  bool Written() override { return link_->Written(epoch_); }
  void OnMessage(const SessionDown& down) override { link_->OnMessage(epoch_, down); }
  void OnClosed(const std::string& why) override { link_->OnClosed(epoch_, why); }

 private:
  const std::shared_ptr<Link> link_;
  const std::uint64_t epoch_;
};

}  // namespace

void LogicLink::Impl::Start(Events events) {
  events_ = std::move(events);
  thread_ = std::thread([this] {
    NameThread("logic-link");
    while (pulse_.Wait(Step()))
      Watch();
  });
}

void LogicLink::Impl::Stop() {
  pulse_.Stop();
  if (thread_.joinable()) thread_.join();
  const auto stream = state_.With([this](State& s) {
    auto last = std::move(s.stream);
    Reset(s, false);
    return last;
  });
  if (stream) stream->Close();
  gate_.CloseAndWait();
}

// ---- the thread ---------------------------------------------------------------------------------

Duration LogicLink::Impl::Step() {
  return state_.With([&](State& s) {
    s.resting = s.up && s.queue.resting();
    return s.resting ? std::min(kRest, options_.report_interval) : kWatch;
  });
}

void LogicLink::Impl::Watch() {
  GiveUpOld();
  LeaveIf([this](State& s) -> Counter* {
    const bool silent =
        s.queue.connects().SilenceUs(MonotonicUs()) > options_.answer_timeout.count() * 1000;
    if (silent) s.addresses.Avoid(s.address);
    return silent ? &stats_.moves_silent : nullptr;
  });
  OpenOne();
  Report();
  Resume();
}

void LogicLink::Impl::GiveUpOld() {
  const std::int64_t now = MonotonicUs();
  const auto before = [now](Duration patience) { return now - patience.count() * 1000; };
  auto given_up = state_.With([&](State& s) {
    return s.queue.GiveUp(before(options_.connect_timeout), before(options_.request_timeout));
  });
  if (const auto pass = gate_.TryEnter()) HandOut(std::move(given_up));
}

void LogicLink::Impl::LeaveIf(const std::function<Counter*(State&)>& why) {
  const auto stream = state_.With([&](State& s) -> std::shared_ptr<rpc::StreamHandle> {
    if (!s.open) return nullptr;
    Counter* counter = why(s);
    if (counter == nullptr) return nullptr;
    counter->Add();
    auto left = std::move(s.stream);
    Reset(s, false);
    return left;
  });
  if (stream) stream->Close();
}

// The stream is over; what it did not confirm goes to the next one.
void LogicLink::Impl::Reset(State& s, bool failed) {
  const std::int64_t now = MonotonicMs();
  const bool lasted = s.up && now - s.up_since_ms >= 1'000;
  s.backoff = lasted || !failed
                  ? options_.backoff_min
                  : std::clamp(s.backoff * 2, options_.backoff_min, options_.backoff_max);
  s.next_try_ms = failed ? now + s.backoff.count() : now;
  if (failed && lasted) s.next_try_ms = now;
  ++s.epoch;
  s.open = s.fresh = s.up = s.writing = s.kicked = false;
  s.stream = nullptr;
  s.queue.Restart(MonotonicUs());
  stats_.up.Set(0);
}

void LogicLink::Impl::OpenOne() {
  std::string address;
  const std::uint64_t epoch = state_.With([&](State& s) -> std::uint64_t {
    if (s.open || MonotonicMs() < s.next_try_ms) return 0;
    address = s.addresses.Choose();
    if (address.empty()) return 0;
    s.open = s.fresh = true;
    s.address = address;
    return ++s.epoch;
  });
  if (epoch == 0) return;
  stats_.streams.Add();
  auto stream = rpc::OpenSession(rpc::MakeChannel(address),
                                 std::make_shared<Stream<Impl>>(shared_from_this(), epoch));
  const bool current = state_.With([&](State& s) {
    if (s.epoch == epoch) s.stream = stream;
    return s.epoch == epoch;
  });
  if (current) {
    stream->Kick();
  } else {
    stream->Close();
  }
}

void LogicLink::Impl::Report() {
  const std::int64_t now = MonotonicMs();
  if (now - reported_ms_ < options_.report_interval.count() || !census_.changed()) return;
  reported_ms_ = now;
  (void)Say([](State& s) { return s.report_due = true; });
}

void LogicLink::Impl::SetAddresses(std::vector<std::string> addresses) {
  LeaveIf([&](State& s) -> Counter* {
    const bool gone = !addresses.empty() &&
                      std::find(addresses.begin(), addresses.end(), s.address) == addresses.end();
    return gone ? &stats_.moves_left : nullptr;
  });
  state_.With([&](State& s) { s.addresses.Set(std::move(addresses)); });
  pulse_.Wake();
}

bool LogicLink::Impl::Flush(Duration patience) {
  const std::int64_t until = MonotonicMs() + patience.count();
  const auto written = [this] {
    return state_.With([](const State& s) { return s.queue.empty() && !s.writing; });
  };
  Pulse wait;
  while (!written() && MonotonicMs() < until)
    wait.Wait(Duration(5));
  return written();
}

// ---- the stream ---------------------------------------------------------------------------------

template <class Put>
bool LogicLink::Impl::Say(const Put& put) {
  std::shared_ptr<rpc::StreamHandle> kick;
  const bool taken = state_.With([&](State& s) {
    if (!put(s)) return false;
    if (s.kicked) return true;
    if (!s.report_due && !s.queue.Ready(MonotonicUs())) {
      const bool held_back = !s.queue.empty();  // by a rate, or by logins under way
      if (held_back && std::exchange(s.resting, false)) pulse_.Wake();
      return true;
    }
    kick = s.stream;
    s.kicked = kick != nullptr;
    return true;
  });
  if (kick) kick->Kick();
  return taken;
}

void LogicLink::Impl::Depart(Disconnect goodbye) {
  (void)Say([&](State& s) {
    s.queue.Depart(std::move(goodbye));
    return true;
  });
}

bool LogicLink::Impl::Fill(std::uint64_t epoch, SessionUp* out) {
  return state_.With([&](State& s) {
    if (s.epoch != epoch) return false;
    s.kicked = false;
    bool any = false;
    if (s.fresh) {
      s.fresh = false;
      any = true;
      out->set_comet(options_.comet);
      out->set_boot(options_.boot);
      census_.MarkAll();
      census_.Take(kCountsBytes, out->mutable_counts());
      out->mutable_counts()->set_snapshot(true);
      s.report_due = census_.changed();
    }
    if (s.report_due && !out->has_counts()) {
      if (census_.Take(kCountsBytes, out->mutable_counts())) {
        any = true;
      } else {
        out->clear_counts();
      }
      s.report_due = census_.changed();
    }
    any |= s.queue.Fill(out, MonotonicUs());
    s.writing = any;
    return any;
  });
}

bool LogicLink::Impl::Written(std::uint64_t epoch) {
  return state_.With([&](State& s) {
    if (s.epoch != epoch) return false;
    s.writing = false;
    if (!s.up) {
      s.up = true;
      s.up_since_ms = MonotonicMs();
      s.addresses.Avoid({});
      stats_.up.Set(1);
      log::Info("logic.link up address={}", s.address);
    }
    return s.report_due || s.queue.Ready(MonotonicUs());
  });
}

void LogicLink::Impl::HandOut(LogicQueue::Answers answers) {
  for (ConnectReply& reply : answers.connects)
    events_.answer(std::move(reply));
  for (Reply& reply : answers.replies)
    events_.reply(std::move(reply));
  for (Disconnect& goodbye : answers.goodbyes)
    Depart(std::move(goodbye));
}

void LogicLink::Impl::OnMessage(std::uint64_t epoch, const SessionDown& down) {
  const auto pass = gate_.TryEnter();
  if (!pass) return;
  LogicQueue::Answers answers;
  const bool current = state_.With([&](State& s) {
    if (s.epoch == epoch) answers = s.queue.Sort(down, MonotonicUs());
    return s.epoch == epoch;
  });
  if (!current) return;
  HandOut(std::move(answers));
  Resume();
  for (const auto& [room, total] : down.totals().counts())
    census_.SetTotal(room, total);
  if (!down.announce()) return;
  stats_.announces.Add();
  events_.announce();
}

void LogicLink::Impl::OnClosed(std::uint64_t epoch, const std::string& why) {
  const bool current = state_.With([&](State& s) {
    if (s.epoch != epoch) return false;
    s.addresses.Avoid(s.address);
    Reset(s, true);
    return true;
  });
  if (!current) return;
  stats_.breaks.Add();
  log::WarnSome(link_lines, "logic.link down why={}", why);
  pulse_.Wake();
}

// ---- the face -----------------------------------------------------------------------------------

LogicLink::LogicLink(const LogicLinkOptions& options, Census& census)
    : impl_(std::make_shared<Impl>(options, census)) {}

LogicLink::~LogicLink() { Stop(); }

void LogicLink::Start(Events events) { impl_->Start(std::move(events)); }
void LogicLink::SetAddresses(std::vector<std::string> addresses) {
  impl_->SetAddresses(std::move(addresses));
}
bool LogicLink::Flush(Duration patience) { return impl_->Flush(patience); }
void LogicLink::Stop() { impl_->Stop(); }
bool LogicLink::up() const { return impl_->up(); }
const LinkStats& LogicLink::stats() const { return impl_->stats_; }

bool LogicLink::Arrive(Connect ask) {
  return impl_->Say([&](auto& s) { return s.queue.Arrive(std::move(ask), MonotonicUs()); });
}

bool LogicLink::Ask(Request request) {
  return impl_->Say([&](auto& s) { return s.queue.Ask(std::move(request), MonotonicUs()); });
}

void LogicLink::Report(std::vector<PushReport> reports) {
  (void)impl_->Say([&](auto& s) {
    s.queue.Report(std::move(reports));
    return true;
  });
}

bool LogicLink::Renew(Renewal renewal) {
  return impl_->Say([&](auto& s) { return s.queue.Renew(std::move(renewal)); });
}

void LogicLink::Depart(Disconnect goodbye) { impl_->Depart(std::move(goodbye)); }

bool LogicLink::Receive(Upstream package) {
  return impl_->Say([&](auto& s) { return s.up && s.queue.Receive(std::move(package)); });
}

}  // namespace encke::uplink

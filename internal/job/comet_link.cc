#include "job/comet_link.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "rpc/later.h"
#include "rpc/server.h"

namespace encke::job {

LinkPorts RealPorts() {
  return {.open =
              [](const std::string& address, std::shared_ptr<rpc::PushClientUser> user) {
                return rpc::OpenPush(rpc::MakeChannel(address), std::move(user));
              },
          .later = [](Duration delay,
                      std::function<void()> act) { rpc::Later::Run(delay, std::move(act)); },
          .now_us = MonotonicUs};
}

CometLink::CometLink(
    Names names, const LinkOptions& options, const LinkPorts& ports, Stats& stats, Gate& gate)
    : comet_(std::move(names.comet)),
      job_(std::move(names.job)),
      options_(options),
      ports_(ports),
      stats_(stats),
      gate_(gate),
      state_(State(options.outbox)) {
  state_.With([&](State& s) { s.address = std::move(names.address); });
}

// ---- the stream -------------------------------------------------------------------------------

void CometLink::Open() {
  std::string address;
  std::uint64_t serial = 0;
  state_.With([&](State& s) {
    if (s.closing || s.open) return;
    auto pass = gate_.TryEnter();
    if (!pass) return;
    s.pass.emplace(std::move(*pass));
    s.open = true;
    s.greeted = s.heard = s.gathering = s.ticking = s.tick_due = false;
    s.interest_seen = s.interest_told = 0;
    serial = ++s.serial;
    address = s.address;
  });
  if (serial == 0) return;
  auto stream = ports_.open(address, shared_from_this());
  // It may have been closed already, from either side, before we could keep it.
  const bool close = state_.With([&](State& s) {
    if (s.open && s.serial == serial) s.stream = stream;
    return s.closing || s.address != address;
  });
  stream->Kick();  // says who we are
  if (close) stream->Close();
}

void CometLink::Move(const std::string& address) {
  auto stream = state_.With([&](State& s) {
    if (std::exchange(s.address, address) == address) return decltype(s.stream)();
    return s.stream;
  });
  if (stream) stream->Close();
}

void CometLink::Close() {
  auto stream = state_.With([&](State& s) {
    s.closing = true;
    stats_.undeliverable.Add(s.outbox.Clear());
    return s.stream;
  });
  if (stream) stream->Close();
}

bool CometLink::Fill(PushDown* out) {
  filled_ = 0;
  return state_.With([&](State& s) {
    bool some = !std::exchange(s.greeted, true);
    if (some) out->set_job(job_);
    if (s.interest_told != s.interest_seen) {
      out->set_interest_ack(s.interest_told = s.interest_seen);
      some = true;
    }
    if (std::exchange(s.tick_due, false)) {
      out->set_tick(++s.tick);
      some = true;
    }
    if (!s.known) return some;
    const std::size_t count = s.outbox.Pack(out, ports_.now_us());
    if (count > 0) stats_.batch.Observe(count);
    stats_.deliveries.Add(count);
    filled_ = count;
    return some || count > 0;
  });
}

bool CometLink::Written() {
  return state_.With([](const State& s) { return Unsaid(s); });
}

bool CometLink::Unsaid(const State& s) {
  return s.interest_told != s.interest_seen || s.tick_due || (s.known && s.outbox.waiting() > 0);
}

void CometLink::OnMessage(const PushUp& in) {
  auto stream = state_.With([&](State& s) {
    if (!s.heard) Hear(s, in.boot());
    if (in.has_interest()) Learn(s, in.interest());
    for (const PushAck& ack : in.acks())
      Release(s, ack);
    if (in.tick() > 0) Echoed(s, in.tick());
    CalmDown(s);
    return Unsaid(s) ? s.stream : nullptr;
  });
  if (stream) stream->Kick();
}

void CometLink::OnClosed(const std::string& why) {
  stats_.streams_closed.Add();
  std::optional<Gate::Pass> pass;  // left when everything else is done
  bool closing = false;
  const Duration retry = state_.With([&](State& s) {
    closing = s.closing;
    s.open = s.known = false;
    s.stream = nullptr;
    if (s.pass) pass.emplace(std::move(*s.pass));
    s.pass.reset();
    s.retry = std::clamp(s.retry * 2, options_.retry_min, options_.retry_max);
    return s.retry;
  });
  log::Info("link.down comet={} why=\"{}\"", comet_, why);
  if (!closing) OpenLater(retry);
}

void CometLink::OpenLater(Duration delay) {
  ports_.later(delay, [weak = weak_from_this()] {
    if (auto self = weak.lock()) self->Open();
  });
}

// ---- what the comet says ----------------------------------------------------------------------

// The first message of a stream.
void CometLink::Hear(State& s, std::uint64_t boot) {
  s.heard = true;
  if (std::exchange(s.boot, boot) == boot) {
    stats_.resent.Add(s.outbox.Rewind());
  } else {
    stats_.undeliverable.Add(s.outbox.DropSent());
  }
  s.outbox.AddDoubts();
}

void CometLink::Learn(State& s, const Interest& interest) {
  if (interest.snapshot()) {
    s.rooms.clear();
    s.gathering = true;
  }
  for (const std::string& room : interest.left())
    s.rooms.erase(room);
  for (const std::string& room : interest.joined())
    s.rooms.insert(room);
  s.interest_seen = interest.number();
  if (!s.gathering || interest.more()) return;
  s.gathering = false;
  s.known = true;
  s.retry = Duration(0);
  stats_.not_concerned.Add(
      s.outbox.DropRooms([&](const std::string& room) { return s.rooms.contains(room); }));
  log::Info("link.up comet={} rooms={} waiting={}", comet_, s.rooms.size(), s.outbox.waiting());
}

void CometLink::Release(State& s, const PushAck& ack) {
  const std::size_t count = s.outbox.Ack(ack, ports_.now_us(), &stats_.ack_us);
  (ack.refused() ? stats_.fenced : stats_.acked).Add(count);
}

void CometLink::CalmDown(State& s) {
  if (s.outbox.bytes() > options_.queue_bytes_max / 2) return;
  s.full_since_us = -1;
  if (std::exchange(s.left_behind, false)) log::Warn("link.caught_up comet={}", comet_);
}

// ---- what waits for it ------------------------------------------------------------------------

CometLink::Put CometLink::Offer(const SharedMessage& message, double rate) {
  std::shared_ptr<rpc::StreamHandle> kick;
  const Put put = state_.With([&](State& s) {
    const Put verdict = Admit(s, message);
    if (verdict != Put::kQueued) return verdict;
    s.outbox.Add(message, rate, ports_.now_us());
    if (!s.known) return verdict;
    if (s.outbox.Due(ports_.now_us())) {
      kick = s.stream;
    } else {
      ArmTimer(s);
    }
    return verdict;
  });
  if (kick) kick->KickHere();
  return put;
}

CometLink::Put CometLink::Admit(State& s, const SharedMessage& message) {
  if (s.closing) return Put::kNotConcerned;
  if (message->kind == Kind::kRoom && s.known && !s.rooms.contains(message->room)) {
    Doubt(s, message);
    return Put::kNotConcerned;
  }
  const std::size_t bytes = s.outbox.bytes();
  const bool full = bytes > 0 && bytes + Outbox::Cost(*message) > options_.queue_bytes_max;
  if (!full && !s.left_behind) return Put::kQueued;
  const std::int64_t now_us = ports_.now_us();
  if (s.full_since_us < 0) s.full_since_us = now_us;
  if (!s.left_behind && now_us - s.full_since_us < options_.stuck_timeout.count() * 1000) {
    return Put::kFull;
  }
  if (!std::exchange(s.left_behind, true)) {
    log::Warn("link.left_behind comet={} bytes={}", comet_, bytes);
  }
  stats_.left_behind.Add();
  return Put::kLeftBehind;
}

// ---- what may be wanted -----------------------------------------------------------------------

void CometLink::Doubt(State& s, const SharedMessage& message) {
  stats_.doubts_given_up.Add(s.outbox.Doubt(message, s.tick + 1));
  if (!s.ticking) TickLater(s);
}

// Whoever joined before the comet sent this waited for us, if we did not know already: so what we
// judged before our tick was judged well.
void CometLink::Echoed(State& s, std::uint64_t tick) {
  s.outbox.Trust(tick);
  if (tick != s.tick) return;
  s.ticking = false;
  if (s.outbox.doubtful()) TickLater(s);
}

void CometLink::TickLater(State& s) {
  s.ticking = true;
  ports_.later(options_.tick_interval, [weak = weak_from_this(), serial = s.serial] {
    const auto self = weak.lock();
    if (!self) return;
    const auto stream = self->state_.With([&](State& state) {
      if (!state.open || state.serial != serial) return decltype(state.stream)();
      state.tick_due = true;
      return state.stream;
    });
    if (stream) stream->Kick();
  });
}

void CometLink::ArmTimer(State& s) {
  if (std::exchange(s.timer, true)) return;
  ports_.later(options_.outbox.room_signal, [weak = weak_from_this()] {
    if (auto self = weak.lock()) self->OnTimer();
  });
}

void CometLink::OnTimer() {
  auto stream = state_.With([&](State& s) {
    s.timer = false;
    if (s.known && s.outbox.waiting() > 0 && !s.outbox.Due(ports_.now_us())) ArmTimer(s);
    return s.stream;
  });
  if (stream) stream->Kick();
}

void CometLink::Forget(int partition) {
  state_.With([&](State& s) {
    stats_.fenced.Add(s.outbox.Forget(partition));
    CalmDown(s);
  });
}

std::optional<std::uint64_t> CometLink::Oldest(int partition) const {
  return state_.With([&](const State& s) { return s.outbox.Oldest(partition); });
}

LinkView CometLink::view() const {
  return state_.With([&](const State& s) {
    return LinkView{comet_,        s.known, s.left_behind, s.outbox.bytes(), s.outbox.entries(),
                    s.rooms.size()};
  });
}

}  // namespace encke::job

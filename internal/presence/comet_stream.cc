#include "presence/comet_stream.h"

#include <utility>

#include "base/log.h"
#include "timeline/plan.h"

namespace encke::presence {

namespace {

constexpr std::size_t kMessageBytes = 1 << 20;  // about; gRPC takes 16 MiB
constexpr std::size_t kReplyOverhead = 64;
constexpr std::size_t kTotalsPerMessage = 10'000;

template <class T>
std::size_t SizeOf(const T& reply) {
  return reply.ByteSizeLong() + kReplyOverhead;
}

// Moves what waits into a message until that is large enough; answers how many bytes.
template <class T, class Add>
std::size_t Take(std::deque<T>& from, std::size_t room, Add add) {
  std::size_t bytes = 0;
  while (!from.empty() && bytes < room) {
    bytes += SizeOf(from.front());
    *add() = std::move(from.front());
    from.pop_front();
  }
  return bytes;
}

ConnectReply Refusal(std::uint64_t id, std::string_view why, bool retry) {
  ConnectReply reply;
  reply.set_id(id);
  reply.set_refused(std::string(why));
  reply.set_retry(retry);
  return reply;
}

// Which of the rooms asked for it may be in.
ConnectReply Begin(const Connect& ask) {
  ConnectReply reply;
  reply.set_id(ask.id());
  for (const std::string& room : ask.rooms()) {
    const bool good = timeline::WhyNoRoom(room).empty();
    (good ? reply.add_rooms() : reply.add_rooms_refused())->assign(room);
  }
  return reply;
}

}  // namespace

CometStream::CometStream(World& world, std::shared_ptr<rpc::StreamHandle> stream)
    : world_(world), stream_(std::move(stream)) {}

// ---- down -------------------------------------------------------------------------------------

bool CometStream::Fill(SessionDown* out) {
  return state_.With([out](State& s) {
    std::size_t bytes = Take(s.answers, kMessageBytes, [out] { return out->add_connects(); });
    if (bytes < kMessageBytes) {
      bytes += Take(s.replies, kMessageBytes - bytes, [out] { return out->add_replies(); });
    }
    s.answer_bytes -= bytes;
    for (std::size_t n = 0; n < kTotalsPerMessage && !s.untold.empty(); ++n) {
      const auto total = s.untold.extract(s.untold.begin());
      (*out->mutable_totals()->mutable_counts())[total.key()] = total.mapped();
    }
    if (std::exchange(s.announce, false)) out->set_announce(true);
    return out->connects_size() > 0 || out->replies_size() > 0 || out->has_totals() ||
           out->announce();
  });
}

bool CometStream::Written() {
  return state_.With([](const State& s) {
    return !s.answers.empty() || !s.replies.empty() || !s.untold.empty() || s.announce;
  });
}

// Under the lock.
template <class T>
CometStream::Put CometStream::Queue(State& s, std::deque<T>& queue, T reply) const {
  const std::size_t bytes = SizeOf(reply);
  if (s.closed) return Put::kGone;
  if (s.answer_bytes + bytes > world_.options.answer_bytes_max) {
    s.closed = true;  // what waits is said again on the next stream
    return Put::kTooMuch;
  }
  queue.push_back(std::move(reply));
  s.answer_bytes += bytes;
  return Put::kQueued;
}

// False: the stream is gone, nobody will read it.
bool CometStream::Tell(Put put) {
  if (put == Put::kQueued) stream_->Kick();
  if (put == Put::kTooMuch) {
    world_.counts.streams_cut.Add();
    log::Warn("session.cut why=\"answers are not taken\"");
    stream_->Close();
  }
  return put == Put::kQueued;
}

bool CometStream::Answer(ConnectReply reply, bool was_under_way) {
  return Tell(state_.With([&](State& s) {
    if (was_under_way) --s.connects;
    return Queue(s, s.answers, std::move(reply));
  }));
}

void CometStream::Answer(Reply reply, bool was_under_way) {
  Tell(state_.With([&](State& s) {
    if (was_under_way) --s.asks;
    return Queue(s, s.replies, std::move(reply));
  }));
}

void CometStream::Announce() {
  const bool tell = state_.With([](State& s) {
    if (s.closed || s.comet.value().empty()) return false;
    s.announce = true;
    if (s.whole) {
      s.to_report = s.here;
      s.snapshot_to_report = true;
    }
    return true;
  });
  if (!tell) return;
  stream_->Kick();
  ReportNext();
}

void CometStream::Close() { stream_->Close(); }

void CometStream::OnClosed(const std::string& why) {
  const ServerId comet = state_.With([](State& s) {
    s.closed = true;
    return s.comet;
  });
  log::Info("session.stream_closed comet={} why=\"{}\"", comet.value(), why);
  world_.closed(this);
}

// ---- up ---------------------------------------------------------------------------------------

// The first message says who this is.
bool CometStream::Introduce(const SessionUp& in, ServerId* comet) {
  bool fresh = false;
  *comet = state_.With([&](State& s) {
    fresh = s.comet.value().empty();
    if (fresh) {
      s.comet = ServerId(in.comet());
      s.boot = in.boot();
    }
    return s.comet;
  });
  if (comet->value().empty()) {
    log::Warn("session.stream_refused why=\"no comet id in the first message\"");
    stream_->Close();
    return false;
  }
  if (!fresh) return true;
  log::Info("session.stream_open comet={}", comet->value());
  if (world_.must_announce()) Announce();
  return true;
}

void CometStream::OnMessage(const SessionUp& in) {
  ServerId comet;
  if (!Introduce(in, &comet)) return;
  for (const Connect& ask : in.connects())
    OnConnect(comet, ask);
  for (const Renewal& renewal : in.renewals())
    OnRenewal(comet, renewal);
  for (const Disconnect& goodbye : in.disconnects()) {
    world_.counts.departed.Add();
    log::Debug("session.depart key={} mid={} comet={}", goodbye.key(), goodbye.mid(),
               comet.value());
    world_.ports.Depart({Mid(goodbye.mid()), Key(goodbye.key()), goodbye.generation()}, comet,
                        [](const Status&) {});  // else it ends by its TTL
  }
  for (const Upstream& package : in.upstreams())
    OnUpstream(comet, package);
  for (const Request& request : in.requests())
    OnRequest(request);
  if (in.reports_size() > 0) {
    const std::uint64_t boot = state_.With([](const State& s) { return s.boot; });
    for (const PushReport& report : in.reports())
      world_.ports.Count(comet, boot, report);
  }
  if (in.has_counts()) OnCounts(in.counts());
}

void CometStream::OnRequest(const Request& request) {
  const bool taken = state_.With([&](State& s) {
    const bool room = s.asks < world_.options.asks_max;
    if (room) ++s.asks;
    return room;
  });
  world_.counts.asks.Add();
  if (taken) {
    return world_.ports.Ask(request, [self = shared_from_this()](Reply reply) {
      self->Answer(std::move(reply), /*was_under_way=*/true);
    });
  }
  world_.counts.asks_busy.Add();
  Reply busy;
  busy.set_id(request.id());
  busy.set_error("too many questions are under way");
  busy.set_retry(true);
  Answer(std::move(busy), /*was_under_way=*/false);
}

void CometStream::OnConnect(const ServerId& comet, const Connect& ask) {
  auth::Identity who;
  const auth::AuthVerdict verdict =
      world_.auth.Check(ask.token(), ask.cookie(), ask.client_ip(), &who);
  if (verdict != auth::AuthVerdict::kOk) {
    world_.counts.refused.Add();
    const std::string_view why = auth::kAuthVerdicts[static_cast<std::size_t>(verdict)];
    log::Debug("session.refused comet={} peer={} why={}", comet.value(), ask.client_ip(), why);
    Answer(Refusal(ask.id(), why, /*retry=*/false), /*was_under_way=*/false);
    return;
  }
  if (timeline::IsInbox(who.room.value())) {
    world_.counts.refused.Add();
    Answer(Refusal(ask.id(), "room_id: is of the type that inboxes have", /*retry=*/false), false);
    return;
  }
  const bool taken = state_.With([&](State& s) {
    const bool room = s.connects < world_.options.connects_max;
    if (room) ++s.connects;
    return room;
  });
  if (!taken) {
    world_.counts.busy.Add();
    Answer(Refusal(ask.id(), "too many logins are under way", /*retry=*/true), false);
    return;
  }
  ConnectReply reply = Begin(ask);
  world_.counts.rooms_refused.Add(static_cast<std::uint64_t>(reply.rooms_refused_size()));
  using Claim = SessionPorts::Claim;
  world_.ports.Arrive(who.mid, who.key, comet, who.key_is_a_wish ? Claim::kOwn : Claim::kAny,
                      [self = shared_from_this(), comet, who,
                       reply = std::move(reply)](Result<store::Sessions::Arrival> arrival) {
                        self->OnArrival(comet, who, reply, std::move(arrival));
                      });
}

void CometStream::OnArrival(const ServerId& comet,
                            const auth::Identity& who,
                            ConnectReply reply,
                            Result<store::Sessions::Arrival> arrival) {
  if (!arrival && arrival.error().code == Errc::kConflict) {
    world_.counts.keys_refused.Add();
    log::Debug("session.refused comet={} mid={} why=\"key of another user\"", comet.value(),
               who.mid.value());
    Answer(Refusal(reply.id(), arrival.error().text, /*retry=*/false), /*was_under_way=*/true);
    return;
  }
  if (!arrival) {
    world_.counts.store_failed.Add();
    Answer(Refusal(reply.id(), arrival.error().text, /*retry=*/true), /*was_under_way=*/true);
    return;
  }
  reply.set_mid(who.mid.value());
  reply.set_key(who.key.value());
  reply.set_room(who.room.value());
  reply.mutable_accepts()->Add(who.accepts.begin(), who.accepts.end());
  reply.set_heartbeat_ms(world_.options.heartbeat.count());
  reply.set_generation(arrival->generation);
  log::Debug("session.arrive key={} mid={} room={} comet={}", who.key.value(), who.mid.value(),
             who.room.value(), comet.value());
  if (Answer(std::move(reply), /*was_under_way=*/true)) {
    world_.counts.arrived.Add();
    if (!arrival->before.server.value().empty()) world_.counts.replaced.Add();
    return;
  }
  // Nobody will hear of this login: it is asked for again elsewhere, or its client has gone.
  world_.counts.undone.Add();
  world_.ports.Depart({who.mid, who.key, arrival->generation}, comet, [](const Status&) {});
}

void CometStream::OnRenewal(const ServerId& comet, const Renewal& renewal) {
  world_.ports.Renew({Mid(renewal.mid()), Key(renewal.key()), renewal.generation()}, comet,
                     [self = shared_from_this()](const Status& status) {
                       SessionCounts& counts = self->world_.counts;
                       if (status) return counts.renewed.Add();
                       const bool outdated = status.error().code == Errc::kConflict;
                       (outdated ? counts.renew_outdated : counts.store_failed).Add();
                     });
}

// What no room and no user is meant for: backends may listen, as none can in goim.
void CometStream::OnUpstream(const ServerId& comet, const Upstream& package) {
  world_.counts.upstream_messages.Add();
  world_.counts.upstream_bytes.Add(package.body().size());
  world_.ports.Hear(package);
  log::Debug("session.receive key={} mid={} room={} op={} bytes={} comet={}", package.key(),
             package.mid(), package.room(), package.op(), package.body().size(), comet.value());
}

// ---- counts -----------------------------------------------------------------------------------

void CometStream::OnCounts(const RoomCounts& counts) {
  state_.With([&](State& s) {
    if (counts.snapshot()) {
      s.here.clear();
      s.to_report.clear();
      s.whole = s.snapshot_to_report = true;
      std::erase_if(s.told, [&](const auto& e) { return !counts.counts().contains(e.first); });
    }
    for (const auto& [room, count] : counts.counts()) {
      s.to_report[room] = count;
      if (count > 0) {
        s.here[room] = count;
      } else {
        s.here.erase(room);
        s.told.erase(room);
        s.untold.erase(room);
      }
    }
    s.compared = nullptr;  // rooms that are new here want their total
  });
  ReportNext();
}

// Reports of one comet follow each other, so that none overtakes another.
void CometStream::ReportNext() {
  bool snapshot = false;
  store::RoomTable changes;
  ServerId comet;
  const bool go = state_.With([&](State& s) {
    const bool any = s.snapshot_to_report || !s.to_report.empty();
    if (s.closed || s.report_under_way || s.report_failed || !any) return false;
    s.report_under_way = true;
    s.reporting.swap(s.to_report);
    s.snapshot_reporting = std::exchange(s.snapshot_to_report, false);
    s.to_report.clear();
    snapshot = s.snapshot_reporting;
    changes = s.reporting;
    comet = s.comet;
    return true;
  });
  if (!go) return;
  world_.ports.Report(comet, snapshot, changes, [self = shared_from_this()](const Status& status) {
    self->OnReported(status);
  });
}

// What was not stored is tried again at the next tick, under what came meanwhile.
void CometStream::OnReported(const Status& status) {
  (status ? world_.counts.reports : world_.counts.report_failures).Add();
  state_.With([&](State& s) {
    s.report_under_way = false;
    s.reported_ms = MonotonicMs();
    if (!status) {
      s.report_failed = true;
      if (!s.snapshot_to_report) s.to_report.merge(s.reporting);
      s.snapshot_to_report = s.snapshot_to_report || s.snapshot_reporting;
    }
    s.reporting.clear();
  });
  ReportNext();
}

void CometStream::Tick(const RoomTotals::Sum& rooms, std::int64_t now_ms) {
  bool tell = false;
  bool keep_alive = false;
  state_.With([&](State& s) {
    s.report_failed = false;
    // A comet where nothing changes says nothing; its table must not end while it is here.
    const bool idle =
        !s.closed && !s.report_under_way && s.to_report.empty() && !s.snapshot_to_report;
    keep_alive =
        idle && s.whole && now_ms - s.reported_ms >= world_.options.online_expire.count() / 3;
    if (keep_alive) s.report_under_way = true;
    if (s.closed || s.compared == rooms) return;
    s.compared = rooms;
    for (const auto& [room, members] : s.here) {
      const auto found = rooms->find(room);
      const std::int32_t total = found == rooms->end() ? 0 : found->second;
      std::int32_t& known = s.told[room];
      if (known == total) continue;
      known = s.untold[room] = total;
    }
    tell = !s.untold.empty();
  });
  if (tell) stream_->Kick();
  if (!keep_alive) return ReportNext();
  const ServerId comet = state_.With([](const State& s) { return s.comet; });
  world_.ports.Report(comet, false, {}, [self = shared_from_this()](const Status& status) {
    self->OnReported(status);
  });
}

}  // namespace encke::presence

#include "session/sessions.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "wire/op.h"

namespace encke::session {
namespace {

log::RateLimit refusals(10);

}  // namespace

Sessions::Sessions(net::Loop& loop, const ShardOptions& options, const SessionParts& parts)
    : loop_(loop),
      options_(options),
      parts_(parts),
      connections_(loop, options.net, *this),
      hub_(options.hub, *this),
      talks_(options.talk, options.index, *this, hub_, parts.logic),
      random_(std::random_device{}()) {
  hub_.on_presence = [&interest = parts.interest](std::string_view room, bool present) {
    interest.Present(room, present);
  };
}

Result<std::uint16_t> Sessions::Listen(Transport transport,
                                       const std::string& address,
                                       net::Tls* tls) {
  // The first shard makes sure that no other process has the port; the others share it.
  return connections_.Listen({.address = address,
                              .tag = static_cast<int>(transport),
                              .tls = tls,
                              .claim = options_.index == 0});
}

// ---- from accept to the auth reply --------------------------------------------------------------

void Sessions::OnOpen(net::Slot slot, int tag, const net::Peer& peer) {
  assert(slot < uplink::AskId::kSlotsMax);
  Session& s = slab_.Open(slot);
  assert(s.stage == Stage::kNone);
  s.transport = static_cast<Transport>(tag);
  s.stage = s.ws() ? Stage::kUpgrade : Stage::kOpen;
  s.pending = std::make_unique<Pending>();
  s.pending->address = peer.ip;
  stats_.opened[static_cast<std::size_t>(tag)].Add();
  stats_.open[static_cast<std::size_t>(tag)].Add(1);
  if (draining_) return End(slot, CloseReason::kShutdown);
  connections_.SetDeadline(slot, loop_.now_ms() + options_.session.handshake_timeout.count());
}

void Sessions::Ask(net::Slot slot, const wire::Package& auth) {
  Connect ask;
  ask.set_token(std::string(auth.body));
  AskLogic(slot, auth, std::move(ask));
}

void Sessions::AskLogic(net::Slot slot, const wire::Package& package, Connect ask) {
  Session& s = slab_[slot];
  s.stage = Stage::kAsking;
  s.pending->ver = package.ver;
  s.pending->seq = package.seq;
  ask.set_id(uplink::AskId{options_.index, slot, connections_.Serial(slot)}.Pack());
  ask.set_cookie(std::move(s.pending->cookie));
  ask.set_client_ip(s.pending->address);
  if (parts_.logic.Arrive(std::move(ask))) return;
  stats_.auth_full.Add();
  End(slot, CloseReason::kAuthUnavailable);
}

bool Sessions::Waits(net::Slot slot, std::uint32_t serial, Stage stage) const {
  return connections_.Alive(slot) && connections_.Serial(slot) == serial &&
         slab_[slot].stage == stage;
}

void Sessions::Answer(ConnectReply reply) {
  const uplink::AskId id = uplink::AskId::Unpack(reply.id());
  const bool refused = !reply.refused().empty() || reply.key().empty();
  if (!Waits(id.slot, id.serial, Stage::kAsking)) {
    stats_.auth_left.Add();
    if (!refused)
      parts_.logic.Depart(uplink::GoodbyeOf(reply.mid(), reply.key(), reply.generation()));
    return;
  }
  Session& s = slab_[id.slot];
  if (refused) {
    (reply.retry() ? stats_.auth_unavailable : stats_.auth_refused).Add();
    log::WarnSome(refusals, "session.refused peer={} why={}", s.pending->address, reply.refused());
    return End(id.slot, reply.retry() ? CloseReason::kAuthUnavailable : CloseReason::kAuthRefused);
  }
  s.pending->answer = std::move(reply);
  s.stage = Stage::kAdmitting;
  if (s.guest) return talks_.Enter(id.slot, s.pending->answer);
  if (s.pending->answer.room().empty()) return Admit(id.slot);
  AskJobs(id.slot, s.pending->answer.room(), 0);
}

// Join means join: no reply before every job routes the room here.
void Sessions::AskJobs(net::Slot slot, const std::string& room, std::uint32_t entry) {
  const std::uint32_t serial = connections_.Serial(slot);
  parts_.interest.WhenKnown(room, [&mail = parts_.mail, shard = options_.index, slot, serial,
                                   entry](bool) {
    mail.Tell(shard, [slot, serial, entry](Sessions& home) { home.Known(slot, serial, entry); });
  });
}

void Sessions::Known(net::Slot slot, std::uint32_t serial, std::uint32_t entry) {
  if (entry > 0) {
    if (Alive(slot, serial)) talks_.Known(slot, entry);
    return;
  }
  if (Waits(slot, serial, Stage::kAdmitting)) return Admit(slot);
  if (Waits(slot, serial, Stage::kMoving)) return FinishMove(slot);
}

// From here on others find it.  The reply is the first thing it is sent: nothing flushes in
// between.
void Sessions::Admit(net::Slot slot) {
  Session& s = slab_[slot];
  const std::unique_ptr<Pending> pending = std::move(s.pending);
  const ConnectReply& answer = pending->answer;
  s.mid = answer.mid();
  s.generation = answer.generation();
  const std::int64_t heartbeat = answer.heartbeat_ms();
  s.heartbeat_ms = static_cast<std::uint32_t>(std::clamp<std::int64_t>(
      heartbeat > 0 ? heartbeat : options_.session.heartbeat_default.count(), 1'000, 86'400'000));
  s.renew_at_s = NextRenewal();
  s.address = parts_.addresses.Enter(pending->address);
  s.stage = Stage::kReady;
  hub_.Enter(slot, s.format(), Key(answer.key()),
             {answer.accepts().begin(), answer.accepts().end()});
  const uplink::AskId self{options_.index, slot, connections_.Serial(slot)};
  for (const hub::Home& other : parts_.directory.Put(answer.key(), {options_.index, slot})) {
    parts_.mail.Tell(other.shard,
                     [at = other.slot, key = answer.key(), generation = s.generation,
                      self](Sessions& theirs) { theirs.Contest(at, key, generation, self); });
  }
  if (s.guest) {
    talks_.Welcome(slot, answer);
  } else {
    if (!answer.room().empty() && !Join(slot, answer.room()))
      return End(slot, CloseReason::kRoomsFull);
    Reply(slot, {.ver = pending->ver, .seq = pending->seq, .body = {}}, wire::kOpAuthReply, {});
    SendReplies(slot);
  }
  stats_.auth_accepted.Add();
  Rearm(slot);
  connections_.Resume(slot);
}

// Two logins of one key: the newer generation stays, whichever of the two was admitted first.
void Sessions::Contest(net::Slot slot,
                       const std::string& key,
                       std::uint64_t generation,
                       uplink::AskId rival) {
  if (!hub_.Has(slot) || !hub_.Is(slot, key)) return;
  if (slab_[slot].generation <= generation) return End(slot, CloseReason::kReplaced);
  parts_.mail.Tell(rival.shard, [rival](Sessions& theirs) { theirs.Yield(rival); });
}

void Sessions::Yield(uplink::AskId loser) {
  if (!connections_.Alive(loser.slot) || connections_.Serial(loser.slot) != loser.serial) return;
  End(loser.slot, CloseReason::kReplaced);
}

// ---- rooms --------------------------------------------------------------------------------------

bool Sessions::Join(net::Slot slot, const std::string& room) {
  const std::string old(hub_.RoomOf(slot));
  if (old == room || hub_.In(slot, room)) return true;
  if (hub_.Join(slot, RoomId(room)).refused) {
    stats_.rooms_refused.Add();
    return false;
  }
  if (!old.empty()) {
    --moved_[old];
    LeaveLine(slot, old);
  }
  ++moved_[room];
  return true;
}

void Sessions::LeaveRoom(net::Slot slot) {
  const std::string old(hub_.RoomOf(slot));
  if (old.empty()) return;
  --moved_[old];
  hub_.LeaveRoom(slot);
  LeaveLine(slot, old);
}

void Sessions::Move(net::Slot slot, const wire::Package& request) {
  if (request.body.empty() || request.body == hub_.RoomOf(slot)) {
    if (request.body.empty()) LeaveRoom(slot);
    return Reply(slot, request, wire::kOpChangeRoomReply, request.body);
  }
  Session& s = slab_[slot];
  s.stage = Stage::kMoving;
  s.pending = std::make_unique<Pending>();
  s.pending->ver = request.ver;
  s.pending->seq = request.seq;
  s.pending->room = request.body;
  AskJobs(slot, s.pending->room, 0);
}

// A room that cannot be had is answered like one that can: goim has no words for it.
void Sessions::FinishMove(net::Slot slot) {
  Session& s = slab_[slot];
  const std::unique_ptr<Pending> pending = std::move(s.pending);
  s.stage = Stage::kReady;
  Join(slot, pending->room);
  if (!pending->unasked) {
    Reply(slot, {.ver = pending->ver, .seq = pending->seq, .body = {}}, wire::kOpChangeRoomReply,
          pending->room);
    SendReplies(slot);
  }
  connections_.Resume(slot);
  if (!pending->then) return;
  pending->then->empty() ? LeaveRoom(slot) : Enter(slot, *pending->then);
}

std::int32_t Sessions::Online(net::Slot slot) const {
  const std::string_view room = hub_.RoomOf(slot);
  if (room.empty()) return 0;
  const auto here = static_cast<std::int32_t>(hub_.MembersHere(room));
  return std::max(here, parts_.census.Online(std::string(room)));
}

// ---- staying alive ------------------------------------------------------------------------------

void Sessions::Rearm(net::Slot slot) {
  connections_.SetDeadline(slot, loop_.now_ms() + slab_[slot].heartbeat_ms);
}

void Sessions::Beat(net::Slot slot) {
  Rearm(slot);
  if (loop_.now_ms() / 1000 < slab_[slot].renew_at_s) return;
  if (Renew(slot)) slab_[slot].renew_at_s = NextRenewal();
}

bool Sessions::Renew(net::Slot slot) {
  Renewal renewal;
  renewal.set_mid(slab_[slot].mid);
  renewal.set_key(hub_.KeyOf(slot));
  renewal.set_generation(slab_[slot].generation);
  if (!parts_.logic.Renew(std::move(renewal))) return false;
  stats_.renewals.Add();
  return true;
}

std::uint32_t Sessions::NextRenewal() {
  const auto interval = static_cast<double>(options_.session.renew_interval.count());
  const double spread = std::uniform_real_distribution<double>(0.5, 1.5)(random_);
  return static_cast<std::uint32_t>((static_cast<double>(loop_.now_ms()) + interval * spread) /
                                    1000);
}

void Sessions::OnDeadline(net::Slot slot) {
  const bool admitted = hub_.Has(slot);
  End(slot, admitted ? CloseReason::kHeartbeatTimeout : CloseReason::kHandshakeTimeout);
}

// ---- the end ------------------------------------------------------------------------------------

void Sessions::OnClose(net::Slot slot, net::CloseCause cause) {
  Session& s = slab_[slot];
  if (s.reason == CloseReason::kNone) {
    s.reason = cause == net::CloseCause::kPeer ? CloseReason::kPeer : CloseReason::kSocketError;
  }
  stats_.closed[static_cast<std::size_t>(s.reason)].Add();
  stats_.open[static_cast<std::size_t>(s.transport)].Add(-1);
  log::Debug("session.close shard={} slot={} mid={} why={}", options_.index, slot, s.mid,
             RowOf(s.reason).name);
  WithLine(slot, [this, slot](backlog::Backlog& line) {
    line.Clear([this, slot](const auto& push, backlog::Why why) { Lose(slot, push, why); });
  });
  if (hub_.Has(slot)) {
    Leave(slot);
  } else if (s.pending && !s.pending->answer.key().empty()) {
    const ConnectReply& answer = s.pending->answer;  // accepted by logic, never admitted
    parts_.logic.Depart(uplink::GoodbyeOf(answer.mid(), answer.key(), answer.generation()));
  }
  s = Session{};
}

void Sessions::Leave(net::Slot slot) {
  const Session& s = slab_[slot];
  const std::string key = hub_.KeyOf(slot);
  for (const std::string& room : hub_.RoomsOf(slot))
    --moved_[room];
  hub_.Leave(slot);
  parts_.directory.Remove(key, {options_.index, slot});
  parts_.addresses.Leave(s.address);
  parts_.logic.Depart(uplink::GoodbyeOf(s.mid, key, s.generation));
}

}  // namespace encke::session

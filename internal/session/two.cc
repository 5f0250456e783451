// What sessions of version 2 have of their own, and what backends do to a session.
#include <utility>

#include "session/sessions.h"

namespace encke::session {

void Sessions::AskTwo(net::Slot slot, const wire::Package& package) {
  Session& s = slab_[slot];
  s.guest = std::make_unique<talk::Guest>();
  talk::Guest& guest = *s.guest;
  talk::Fault fault = talk::Read(package.body, &guest.connect);
  if (!fault) fault = talk::Check(guest.connect);
  if (fault) return End(slot, CloseReason::kBadConnect, fault->field() + " " + fault->message());
  guest.device = guest.connect.device();
  guest.platform = guest.connect.platform();
  guest.connect_seq = package.seq;
  Connect ask;
  ask.set_version(2);
  ask.set_token(std::exchange(*guest.connect.mutable_token(), {}));
  ask.set_device(guest.device);
  ask.set_platform(guest.platform);
  for (const client::Cursor& room : guest.connect.rooms())
    if (!talk::CheckRoom(room.room(), "rooms")) ask.add_rooms(room.room());
  AskLogic(slot, package, std::move(ask));
}

// ---- talk::Host ---------------------------------------------------------------------------------

bool Sessions::Alive(hub::Slot slot, std::uint32_t serial) const {
  return connections_.Alive(slot) && connections_.Serial(slot) == serial;
}

// What is said while its requests are read leaves with their replies.
bool Sessions::Say(hub::Slot slot, std::int32_t op, std::int32_t seq, std::string_view body) {
  Session& s = slab_[slot];
  if (s.stage == Stage::kClosing) return true;
  Reply(slot, {.ver = 2, .seq = seq, .body = {}}, op, body);
  if (reading_ == slot) return true;
  const net::Sent sent = connections_.Send(slot, replies_);
  replies_.clear();
  if (sent == net::Sent::kFull) return false;
  if (connections_.Queued(slot) > options_.net.outbox_bytes_max / 2) s.paused = true;
  return true;
}

void Sessions::Hold(hub::Slot slot, bool held) {
  Session& s = slab_[slot];
  if (s.held == held) return;
  s.held = held;
  if (!held) connections_.Resume(slot);
}

void Sessions::LeaveRoom(net::Slot slot, const std::string& room) {
  if (!hub_.LeaveRoom(slot, room)) return;
  --moved_[room];
  LeaveLine(slot, room);
}

void Sessions::End(hub::Slot slot, talk::Ending why) {
  switch (why) {
    case talk::Ending::kUnread:
      return End(slot, CloseReason::kRepliesUnread);
    case talk::Ending::kSecondConnect:
      return End(slot, CloseReason::kBadConnect, "a second Connect");
  }
}

// ---- hub::Sink ----------------------------------------------------------------------------------

bool Sessions::Excluded(hub::Slot slot, const hub::Extras& extras) {
  return talks_.Excluded(slot, extras);
}

void Sessions::Missed(hub::Slot slot, const hub::Miss& miss) {
  if (slab_[slot].stage != Stage::kClosing) talks_.Missed(slot, miss);
}

// ---- backends -----------------------------------------------------------------------------------

void Sessions::Kick(net::Slot slot, const std::string& reason) {
  End(slot, CloseReason::kKicked, reason);
}

void Sessions::Enter(net::Slot slot, const std::string& room) {
  Session& s = slab_[slot];
  if (s.stage == Stage::kMoving) {
    s.pending->then = room;
    return;
  }
  if (s.stage != Stage::kReady) return;
  if (s.guest) return talks_.Join(slot, room);
  if (room == hub_.RoomOf(slot)) return;
  s.stage = Stage::kMoving;
  s.pending = std::make_unique<Pending>();
  s.pending->room = room;
  s.pending->unasked = true;
  AskJobs(slot, room, 0);
}

void Sessions::Exit(net::Slot slot, const std::string& room) {
  const Session& s = slab_[slot];
  if (s.stage != Stage::kReady && s.stage != Stage::kMoving) return;
  if (s.guest) return talks_.Leave(slot, room);
  if (room == hub_.RoomOf(slot)) LeaveRoom(slot);
  // What comes before it, in the log, is still under way.
  if (s.stage == Stage::kMoving && room == s.pending->then.value_or(s.pending->room)) {
    s.pending->then = "";
  }
}

}  // namespace encke::session

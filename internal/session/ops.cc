#include "session/ops.h"

#include <charconv>

#include "base/bytes.h"
#include "session/sessions.h"
#include "wire/op.h"

namespace encke::session {
namespace {

void Auth(Sessions& sessions, net::Slot slot, const wire::Package& package) {
  sessions.Ask(slot, package);
}

void Connects(Sessions& sessions, net::Slot slot, const wire::Package& package) {
  sessions.AskTwo(slot, package);
}

void Talk(Sessions& sessions, net::Slot slot, const wire::Package& package) {
  sessions.talks().OnPackage(slot, package);
}

void Heartbeat(Sessions& sessions, net::Slot slot, const wire::Package& package) {
  sessions.Beat(slot);
  char count[4];
  PutU32(count, static_cast<std::uint32_t>(sessions.Online(slot)));
  sessions.Reply(slot, package, wire::kOpHeartbeatReply, {count, sizeof count});
}

void ChangeRoom(Sessions& sessions, net::Slot slot, const wire::Package& package) {
  sessions.Move(slot, package);
}

// A list that does not parse changes nothing and is answered all the same, as in goim.
void Sub(Sessions& sessions, net::Slot slot, const wire::Package& package) {
  std::vector<std::int32_t> ops;
  if (ParseOps(package.body, &ops)) sessions.hub().Watch(slot, ops);
  sessions.Reply(slot, package, wire::kOpSubReply, package.body);
}

void Unsub(Sessions& sessions, net::Slot slot, const wire::Package& package) {
  std::vector<std::int32_t> ops;
  if (ParseOps(package.body, &ops)) sessions.hub().Unwatch(slot, ops);
  sessions.Reply(slot, package, wire::kOpUnsubReply, package.body);
}

void Unknown(Sessions& sessions, net::Slot slot, const wire::Package& package) {
  if (sessions.session(slot).guest != nullptr) return Talk(sessions, slot, package);
  Upstream up;
  up.set_mid(sessions.session(slot).mid);
  up.set_key(sessions.hub().KeyOf(slot));
  up.set_room(std::string(sessions.hub().RoomOf(slot)));
  up.set_ver(package.ver);
  up.set_op(package.op);
  up.set_seq(package.seq);
  up.set_body(std::string(package.body));
  if (!sessions.logic().Receive(std::move(up))) sessions.stats().upstream_dropped.Add();
  sessions.Reply(slot, package, package.op, {});
}

bool ParseOp(std::string_view piece, std::int32_t* out) {
  if (piece.starts_with('+')) {
    piece.remove_prefix(1);
    if (piece.starts_with('-')) return false;
  }
  const char* end = piece.data() + piece.size();
  const auto [at, error] = std::from_chars(piece.data(), end, *out);
  return error == std::errc() && at == end;
}

}  // namespace

// clang-format off
const std::array<OpRow, kOpRows> kOpTable = {{
    // op                 name           needs            handler
    {wire::kOpAuth,       "auth",        Needs::kNothing, Auth},
    {wire::kOpHeartbeat,  "heartbeat",   Needs::kAuth,    Heartbeat},
    {wire::kOpChangeRoom, "change_room", Needs::kAuth,    ChangeRoom},
    {wire::kOpSub,        "sub",         Needs::kAuth,    Sub},
    {wire::kOpUnsub,      "unsub",       Needs::kAuth,    Unsub},
    {wire::kOpConnect,    "connect",     Needs::kNothing, Connects},
    {wire::kOpJoin,       "join",        Needs::kTwo,     Talk},
    {wire::kOpLeave,      "leave",       Needs::kTwo,     Talk},
    {wire::kOpPublish,    "publish",     Needs::kTwo,     Talk},
    {wire::kOpAck,        "ack",         Needs::kTwo,     Talk},
    {wire::kOpSync,       "sync",        Needs::kTwo,     Talk},
    {wire::kOpBeat,       "beat",        Needs::kTwo,     Talk},
    {-1,                  "other",       Needs::kAuth,    Unknown},
}};
// clang-format on

const OpRow& FindOp(std::int32_t op, Needs speaker) {
  for (std::size_t i = 0; i + 1 < kOpTable.size(); ++i) {
    if (kOpTable[i].op == op && kOpTable[i].needs == speaker) return kOpTable[i];
  }
  return kOpTable.back();
}

bool ParseOps(std::string_view text, std::vector<std::int32_t>* out) {
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    std::int32_t op = 0;
    if (!ParseOp(text.substr(0, comma), &op)) return false;
    out->push_back(op);
    if (comma == std::string_view::npos) return true;
    text.remove_prefix(comma + 1);
    if (text.empty()) return false;
  }
  return true;
}

}  // namespace encke::session

// How bytes become packages and replies become bytes: the transport half of Sessions.
#include "api/client.pb.h"

#include "base/units.h"
#include "session/sessions.h"
#include "wire/op.h"
#include "wire/ws_frame.h"
#include "wire/ws_upgrade.h"

namespace encke::session {
namespace {

// goim's read buffer: one message may be longer than its package, up to here.
constexpr std::size_t kMessageBytesMax = 8192;
// Replies of one read are sent in pieces of about this size.
constexpr std::size_t kReplyChunk = 16 * kKilo;

bool Reads(const Session& s) {
  return !s.paused && !s.held &&
         (s.stage == Stage::kUpgrade || s.stage == Stage::kOpen || s.stage == Stage::kReady);
}

std::string CloseBody(const CloseRow& row, std::string_view why) {
  client::Close close;
  close.set_code(row.ws_code);
  close.set_name(std::string(row.name));
  close.set_text(std::string(why.empty() ? row.text : why));
  close.set_may_return(MayReturn(row));
  close.set_after_ms(ReturnAfterMs(row.reason));
  std::string body = close.SerializeAsString();
  if (client::Close().ParseFromString(body)) return body;
  close.clear_text();  // a backend's reason that is no UTF-8
  return close.SerializeAsString();
}

// The last hop's word: what stands before it was claimed by the client.
std::string_view LastForwarded(std::string_view list) {
  const std::size_t comma = list.rfind(',');
  if (comma != std::string_view::npos) list.remove_prefix(comma + 1);
  while (list.starts_with(' '))
    list.remove_prefix(1);
  while (list.ends_with(' '))
    list.remove_suffix(1);
  return list;
}

}  // namespace

std::size_t Sessions::OnBytes(net::Slot slot, char* bytes, std::size_t size) {
  Session& s = slab_[slot];
  std::size_t taken = 0;
  reading_ = slot;
  while (taken < size && Reads(s)) {
    const std::size_t step = Step(slot, bytes + taken, size - taken);
    if (step == 0) break;
    taken += step;
    if (replies_.size() >= kReplyChunk) SendReplies(slot);
  }
  reading_.reset();
  SendReplies(slot);
  return s.stage == Stage::kClosing ? size : taken;
}

std::size_t Sessions::Step(net::Slot slot, char* bytes, std::size_t size) {
  const Session& s = slab_[slot];
  if (s.stage == Stage::kUpgrade) return StepUpgrade(slot, {bytes, size});
  return s.ws() ? StepFrame(slot, bytes, size) : StepStream(slot, {bytes, size});
}

std::size_t Sessions::StepUpgrade(net::Slot slot, std::string_view in) {
  Session& s = slab_[slot];
  wire::WsUpgrade upgrade;
  std::size_t consumed = 0;
  int status = 0;
  switch (wire::ParseUpgrade(in, &upgrade, &consumed, &status)) {
    case wire::UpgradeParsed::kNeedMore:
      return 0;
    case wire::UpgradeParsed::kRefused:
      replies_ = wire::UpgradeRefusal(status);
      End(slot, CloseReason::kBadUpgrade);
      return in.size();
    case wire::UpgradeParsed::kUpgrade:
      break;
  }
  replies_ = wire::UpgradeAnswer(upgrade.key);
  replies_slot_ = slot;
  s.pending->cookie = upgrade.cookie;
  const std::string_view client = LastForwarded(upgrade.forwarded_for);
  if (options_.session.trust_forwarded && !client.empty()) s.pending->address = client;
  s.stage = Stage::kOpen;
  return consumed;
}

std::size_t Sessions::StepStream(net::Slot slot, std::string_view in) {
  wire::Package package;
  std::size_t consumed = 0;
  const wire::Parsed parsed = wire::ParseStream(in, &package, &consumed);
  if (parsed == wire::Parsed::kNeedMore) return 0;
  if (parsed != wire::Parsed::kPackage) {
    OnBadPackage(slot, parsed);
    return in.size();
  }
  OnPackage(slot, package);
  return consumed;
}

std::size_t Sessions::StepFrame(net::Slot slot, char* bytes, std::size_t size) {
  wire::WsFrame frame;
  std::size_t consumed = 0;
  switch (wire::ParseWsFrame(bytes, size, kMessageBytesMax, &frame, &consumed)) {
    case wire::WsParsed::kNeedMore:
      return 0;
    case wire::WsParsed::kProtocolError:
      End(slot, CloseReason::kBadFrame);
      return size;
    case wire::WsParsed::kTooBig:
      End(slot, CloseReason::kMessageTooBig);
      return size;
    case wire::WsParsed::kFrame:
      break;
  }
  OnFrame(slot, frame);
  return consumed;
}

void Sessions::OnFrame(net::Slot slot, const wire::WsFrame& frame) {
  using Joined = wire::WsAssembler::Joined;
  switch (frame.opcode) {
    case wire::WsOpcode::kPing:
      replies_slot_ = slot;
      wire::AppendWsHeader(&replies_, wire::WsOpcode::kPong, frame.payload.size());
      replies_ += frame.payload;
      return;
    case wire::WsOpcode::kPong:
      return;
    case wire::WsOpcode::kClose:
      return OnCloseFrame(slot, frame.payload);
    case wire::WsOpcode::kContinuation:
    case wire::WsOpcode::kText:
    case wire::WsOpcode::kBinary:
      break;
  }
  std::string_view message;
  switch (slab_[slot].assembler.Add(frame, kMessageBytesMax, &message)) {
    case Joined::kMessage:
      return OnMessage(slot, message);
    case Joined::kMore:
      return;
    case Joined::kProtocolError:
      return End(slot, CloseReason::kBadFrame);
    case Joined::kTooBig:
      return End(slot, CloseReason::kMessageTooBig);
  }
}

void Sessions::OnMessage(net::Slot slot, std::string_view message) {
  wire::Package package;
  const wire::Parsed parsed = wire::ParseMessage(message, &package);
  if (parsed != wire::Parsed::kPackage) return OnBadPackage(slot, parsed);
  OnPackage(slot, package);
}

// The client says goodbye: its own code comes back to it, then the socket closes.
void Sessions::OnCloseFrame(net::Slot slot, std::string_view payload) {
  const std::string_view code = payload.substr(0, payload.size() < 2 ? 0 : 2);
  replies_slot_ = slot;
  wire::AppendWsHeader(&replies_, wire::WsOpcode::kClose, code.size());
  replies_ += code;
  End(slot, CloseReason::kClosing);
}

void Sessions::OnPackage(net::Slot slot, const wire::Package& package) {
  const Session& s = slab_[slot];
  const bool authenticated = s.stage == Stage::kReady;
  const Needs speaker = !authenticated ? Needs::kNothing : s.guest ? Needs::kTwo : Needs::kAuth;
  const OpRow& row = FindOp(package.op, speaker);
  if (!authenticated && row.needs == Needs::kAuth) {
    stats_.skipped.Add();
    return;
  }
  stats_.requests[IndexOf(row)].Add();
  row.handle(*this, slot, package);
}

void Sessions::OnBadPackage(net::Slot slot, wire::Parsed parsed) {
  const bool too_long = parsed == wire::Parsed::kTooLong;
  End(slot, too_long ? CloseReason::kBodyTooLong : CloseReason::kBadPackage);
}

void Sessions::Reply(net::Slot slot,
                     const wire::Package& request,
                     std::int32_t op,
                     std::string_view body) {
  assert(replies_.empty() || replies_slot_ == slot);
  replies_slot_ = slot;
  if (slab_[slot].ws()) {
    wire::AppendWsHeader(&replies_, wire::WsOpcode::kBinary, wire::kHeaderBytes + body.size());
  }
  wire::AppendPackage(&replies_, {request.ver, op, request.seq, body});
}

void Sessions::SendReplies(net::Slot slot) {
  if (replies_.empty()) return;
  const net::Sent sent = connections_.Send(slot, replies_);
  replies_.clear();
  if (sent == net::Sent::kFull) return End(slot, CloseReason::kRepliesUnread);
  const bool backlog = connections_.Queued(slot) > options_.net.outbox_bytes_max / 2;
  if (sent == net::Sent::kQueued && backlog) slab_[slot].paused = true;
}

// Replies already made go first, then Close for version 2, then the close frame of WebSocket.
void Sessions::End(net::Slot slot, CloseReason reason, std::string_view why) {
  Session& s = slab_[slot];
  if (s.stage == Stage::kClosing) return;
  const CloseRow& row = RowOf(reason);
  const bool framed = row.ws_code != 0 && s.ws() && s.stage != Stage::kUpgrade;
  s.stage = Stage::kClosing;
  s.reason = reason;
  if (row.ws_code != 0 && s.guest) {
    Reply(slot, {.ver = 2, .seq = 0, .body = {}}, wire::kOpClose, CloseBody(row, why));
  }
  if (framed) wire::AppendWsClose(&replies_, row.ws_code, why.empty() ? row.text : why);
  const bool said = !replies_.empty() && connections_.Send(slot, replies_) != net::Sent::kFull;
  replies_.clear();
  if (said) {
    connections_.CloseAfterFlush(slot);
  } else {
    connections_.Close(slot);
  }
}

}  // namespace encke::session

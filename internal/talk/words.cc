#include "talk/words.h"

#include <algorithm>
#include <utility>

namespace encke::talk {
namespace {

Fault Invalid(std::string field, std::string message) {
  return ErrorOf(client::Error::INVALID, std::move(field), std::move(message));
}

Fault TooLong(const std::string& text, std::size_t bytes_max, const char* field) {
  if (text.size() <= bytes_max) return std::nullopt;
  return Invalid(field, "is over " + std::to_string(bytes_max) + " bytes");
}

template <class List>
Fault TooMany(const List& list, const char* field) {
  if (static_cast<std::size_t>(list.size()) <= kRoomsAskedMax) return std::nullopt;
  return Invalid(field, "has over " + std::to_string(kRoomsAskedMax) + " entries");
}

template <class List, class Value>
bool Contains(const List& list, const Value& value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

// "to_mid: nobody" names the field in front.
std::size_t FieldLength(std::string_view text) {
  const std::size_t colon = text.find(": ");
  if (colon == std::string_view::npos) return 0;
  const bool name = std::all_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(colon),
                                [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
  return name ? colon : 0;
}

constexpr std::int64_t kRetryMs = 500;

}  // namespace

client::Error ErrorOf(client::Error::Code code,
                      std::string field,
                      std::string message,
                      std::int64_t after_ms) {
  client::Error error;
  error.set_code(code);
  error.set_field(std::move(field));
  error.set_message(std::move(message));
  error.set_after_ms(after_ms);
  return error;
}

std::optional<client::Error> ErrorOf(const Reply& reply) {
  if (reply.error().empty()) return std::nullopt;
  if (reply.retry()) return ErrorOf(client::Error::UNAVAILABLE, "", reply.error(), kRetryMs);
  const std::size_t field = FieldLength(reply.error());
  if (field == 0) return ErrorOf(client::Error::REFUSED, "", reply.error());
  std::string name = reply.error().substr(0, field);
  if (name == "timeline") name = "room";  // what it is called here
  return ErrorOf(client::Error::INVALID, std::move(name), reply.error().substr(field + 2));
}

Fault CheckRoom(const std::string& room, const std::string& field) {
  const std::size_t mark = room.find("://");
  if (mark == std::string::npos || mark == 0 || mark + 3 == room.size())
    return Invalid(field, "is not of the form type://id");
  if (room.size() > kRoomBytesMax) return TooLong(room, kRoomBytesMax, field.c_str());
  if (TypeOf(room) == kInboxType) return Invalid(field, "the type user is the server's");
  return std::nullopt;
}

Fault Check(const client::Connect& connect) {
  if (auto fault = TooLong(connect.device(), kDeviceBytesMax, "device")) return fault;
  if (auto fault = TooLong(connect.platform(), kPlatformBytesMax, "platform")) return fault;
  if (auto fault = TooMany(connect.accepts(), "accepts")) return fault;
  return TooMany(connect.rooms(), "rooms");
}

Fault Check(const client::Join& join) {
  if (auto fault = TooMany(join.accepts(), "accepts")) return fault;
  return TooMany(join.rooms(), "rooms");
}

Fault Check(const client::Leave& leave) {
  if (auto fault = TooMany(leave.accepts(), "accepts")) return fault;
  return TooMany(leave.rooms(), "rooms");
}

Fault Check(const client::Publish& publish) {
  if (publish.room().empty() == (publish.to_mid() == 0))
    return Invalid("room", "exactly one of room and to_mid must be given");
  if (publish.to_mid() < 0) return Invalid("to_mid", "is negative");
  if (!publish.room().empty())
    if (auto fault = CheckRoom(publish.room(), "room")) return fault;
  if (publish.op() < kFirstFreeOp) return Invalid("op", "is below " + std::to_string(kFirstFreeOp));
  return TooLong(publish.client_id(), kClientIdBytesMax, "client_id");
}

Fault Check(const client::Ack& ack) {
  if (ack.epoch() == 0) return Invalid("epoch", "is missing");
  return std::nullopt;
}

std::string InboxOf(std::int64_t mid) { return "user://" + std::to_string(mid); }

std::string_view TypeOf(std::string_view room) {
  const std::size_t mark = room.find("://");
  return mark == std::string_view::npos ? std::string_view{} : room.substr(0, mark);
}

bool Withheld(const PushMsg& push, const Listener& listener, std::int64_t now_us) {
  if (push.expires_us() > 0 && now_us > push.expires_us()) return true;
  return Contains(push.exclude_keys(), listener.key) ||
         Contains(push.exclude_mids(), listener.mid) ||
         (!listener.platform.empty() && Contains(push.exclude_platforms(), listener.platform));
}

void Put(const PushMsg& push, const std::string& room, client::Push* out) {
  out->set_room(room);
  out->set_epoch(push.epoch());
  out->set_seq(push.seq());
  out->set_op(push.operation());
  out->set_body(push.msg());
  out->set_id(push.id());
  out->set_time_us(push.accepted_us());
  out->set_from_mid(push.from_mid());
  out->set_client_id(push.client_id());
}

}  // namespace encke::talk

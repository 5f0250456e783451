#pragma once
// Words: the bodies of version 2, read and judged: what makes no sense is named by its field.
//
// Owner    pure functions.
// Thread   any.
// Limit    the kMax constants.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "api/client.pb.h"
#include "api/logic.pb.h"
#include "api/push.pb.h"

namespace encke::talk {

inline constexpr std::size_t kRoomBytesMax = 255;
inline constexpr std::size_t kDeviceBytesMax = 128;
inline constexpr std::size_t kPlatformBytesMax = 32;
inline constexpr std::size_t kClientIdBytesMax = 64;
inline constexpr std::size_t kRoomsAskedMax = 1000;  // in one request
inline constexpr std::int32_t kFirstFreeOp = 1000;   // below are words of the protocol
inline constexpr std::string_view kInboxType = "user";

client::Error ErrorOf(client::Error::Code code,
                      std::string field,
                      std::string message,
                      std::int64_t after_ms = 0);
// What logic said about a request; none: it was done.
std::optional<client::Error> ErrorOf(const Reply& reply);

using Fault = std::optional<client::Error>;  // none: it makes sense

template <class Message>
Fault Read(std::string_view body, Message* out) {
  if (out->ParseFromArray(body.data(), static_cast<int>(body.size()))) return std::nullopt;
  return ErrorOf(client::Error::INVALID, "body", "is not a " + out->GetTypeName());
}

Fault CheckRoom(const std::string& room, const std::string& field);
Fault Check(const client::Connect& connect);
Fault Check(const client::Join& join);  // of the whole; each room has its own CheckRoom
Fault Check(const client::Leave& leave);
Fault Check(const client::Publish& publish);
Fault Check(const client::Ack& ack);

std::string InboxOf(std::int64_t mid);
std::string_view TypeOf(std::string_view room);

struct Listener {
  std::string_view key, platform;
  std::int64_t mid = 0;
};
// As hub and PushDoor decide for a live push: it is not for this one, or too late.
bool Withheld(const PushMsg& push, const Listener& listener, std::int64_t now_us);
void Put(const PushMsg& push, const std::string& room, client::Push* out);

}  // namespace encke::talk

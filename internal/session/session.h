#pragma once
// Session: one client connection between accept and close; a slab of them parallel to net's slots.
//
//   kUpgrade -> kOpen -> kAsking -> kAdmitting -> kReady <-> kMoving        (any) -> kClosing
//   ws only     no auth  logic      room becomes            change of room
//               yet      is asked   known to jobs           waits for the jobs
//
// The key lives in the hub (Hub::KeyOf) and nowhere else.  What is needed only before admission or
// during a change of room is in Pending, which exists only then.
//
// Owner    Sessions, one slab per shard.
// Thread   the shard's.
// Limit    64 bytes a session; the slab grows in chunks and never moves or shrinks.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/logic.pb.h"

#include "hub/hub.h"
#include "net/connections.h"
#include "session/close.h"
#include "talk/guest.h"
#include "wire/ws_frame.h"

namespace encke::session {

enum class Transport : std::uint8_t { kTcp, kWs, kTls, kWss };
inline constexpr std::size_t kTransports = 4;
inline constexpr const char* kTransportNames[kTransports] = {"tcp", "ws", "tls", "wss"};

enum class Stage : std::uint8_t {
  kNone,  // no connection in this slot
  kUpgrade,
  kOpen,
  kAsking,
  kAdmitting,
  kReady,
  kMoving,
  kClosing,
};

struct Pending {
  std::string address;  // the client's, text form
  std::string cookie;
  std::int16_t ver = 0;  // of the package that waits for its reply
  std::int32_t seq = 0;
  ConnectReply answer;              // from kAdmitting on
  std::string room;                 // kMoving: where to
  bool unasked = false;             // kMoving: a backend's will, nobody waits for a reply
  std::optional<std::string> then;  // kMoving: where a backend wants it after that; "" = nowhere
};

struct Session {
  std::int64_t mid = 0;
  std::uint64_t generation = 0;
  std::unique_ptr<Pending> pending;
  std::unique_ptr<talk::Guest> guest;  // null: version 1, or nothing said yet
  wire::WsAssembler assembler;
  std::uint32_t heartbeat_ms = 0;
  std::uint32_t renew_at_s = 0;  // monotonic seconds; a heartbeat after it renews
  std::uint32_t address = 0;     // in Addresses, from kReady on
  std::uint32_t slow_since = 0;  // monotonic ms, low half; while slow
  Stage stage = Stage::kNone;
  Transport transport = Transport::kTcp;
  CloseReason reason = CloseReason::kNone;
  bool slow : 1 = false;    // a push was dropped and the outbox has not been empty since
  bool listed : 1 = false;  // among those that Sessions watches for slowness
  bool paused : 1 = false;  // requests wait until replies have been read
  bool held : 1 = false;    // requests wait until earlier ones are answered

  bool ws() const { return transport == Transport::kWs || transport == Transport::kWss; }
  hub::Format format() const {
    if (guest) return ws() ? hub::Format::kWs2 : hub::Format::kTcp2;
    return ws() ? hub::Format::kWs : hub::Format::kTcp;
  }
};
static_assert(sizeof(Session) <= 64, "a million of these are held");

class SessionSlab {
 public:
  Session& operator[](net::Slot slot) { return chunks_[slot / kChunk][slot % kChunk]; }
  const Session& operator[](net::Slot slot) const { return chunks_[slot / kChunk][slot % kChunk]; }
  // Makes room for the slot.
  Session& Open(net::Slot slot) {
    while (slot / kChunk >= chunks_.size())
      chunks_.push_back(std::make_unique<Session[]>(kChunk));
    return (*this)[slot];
  }
  std::size_t BytesUsed() const { return chunks_.size() * kChunk * sizeof(Session); }

 private:
  static constexpr std::size_t kChunk = 4096;
  std::vector<std::unique_ptr<Session[]>> chunks_;
};

}  // namespace encke::session

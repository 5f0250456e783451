#pragma once
// LogicPort: what a session may say to logic.  LogicLink says it over gRPC; tests have a fake.
//
// Owner    main of comet; sessions borrow it.
// Thread   any.
// Limit    every call says whether it was taken; nothing here blocks.

#include <cstdint>
#include <string>

#include "api/logic.pb.h"

namespace encke::uplink {

// Who asked, packed into Connect.id: a reply that finds another serial in the slot is a stranger's.
struct AskId {
  std::uint32_t shard = 0;  // 8 bits
  std::uint32_t slot = 0;   // 24 bits
  std::uint32_t serial = 0;

  static constexpr std::uint32_t kShardsMax = 256;
  static constexpr std::uint32_t kSlotsMax = 1u << 24;

  std::uint64_t Pack() const {
    return std::uint64_t{shard} << 56 | std::uint64_t{slot} << 32 | serial;
  }
  static AskId Unpack(std::uint64_t id) {
    return {static_cast<std::uint32_t>(id >> 56), static_cast<std::uint32_t>(id >> 32) & 0xffffff,
            static_cast<std::uint32_t>(id)};
  }
};

inline Disconnect GoodbyeOf(std::int64_t mid, const std::string& key, std::uint64_t generation) {
  Disconnect goodbye;
  goodbye.set_mid(mid);
  goodbye.set_key(key);
  goodbye.set_generation(generation);
  return goodbye;
}

class LogicPort {
 public:
  virtual ~LogicPort() = default;
  // Answered exactly once, later, on any thread.  False: too many wait; nothing was taken.
  virtual bool Arrive(Connect ask) = 0;
  // Answered exactly once, later, on any thread.  False: too many wait; nothing was taken.
  virtual bool Ask(Request request) = 0;
  // False: too many wait, try at the next heartbeat.
  virtual bool Renew(Renewal renewal) = 0;
  virtual void Depart(Disconnect goodbye) = 0;
  // False: logic is away or too many wait; the package was dropped.
  virtual bool Receive(Upstream package) = 0;
};

}  // namespace encke::uplink

#pragma once
// Relay: turns a push into log entries, and answers when they are stored.
//
// Owner    main of logic; borrows Presence and bus::Publisher.
// Thread   any; `done` comes on a NATS or Redis thread, once.
// Limit    the publisher's in-flight bound; body bytes are bounded by the HTTP server.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/metrics.h"
#include "base/result.h"
#include "bus/push_log.h"
#include "logic/presence.h"

namespace encke::logic {

struct RelayCounts {
  Counter keys, mids, room, all;  // accepted, by kind
  Counter failed, unrouted;       // refused; keys and mids that are nowhere
};

class Relay {
 public:
  using OnStored = std::function<void(Status)>;
  Relay(Presence& presence, bus::Publisher& publisher, const bus::LogOptions& log);

  void PushKeys(std::int32_t op, std::vector<Key> keys, std::string body, OnStored done);
  void PushMids(std::int32_t op, std::vector<Mid> mids, std::string body, OnStored done);
  void PushRoom(std::int32_t op, const RoomId& room, std::string body, OnStored done);
  void PushAll(std::int32_t op, std::int32_t speed, std::string body, OnStored done);
  const RelayCounts& counts() const { return counts_; }

 private:
  Presence& presence_;
  bus::Publisher& publisher_;
  bus::LogOptions log_;
  RelayCounts counts_;
};

}  // namespace encke::logic

#pragma once
// Relay: turns a push into log entries, and answers when they are stored.
//
//   keys, mids   one PUSH entry per comet, on the comet's partition
//   room         one ROOM entry, on the room's partition
//   all          one BROADCAST entry, on partition 0
//
// Owner    main of logic; borrows Presence and bus::Publisher.
// Thread   any; `done` comes on a NATS or Redis thread, once.
// Limit    the publisher's in-flight bound; body bytes are bounded by the HTTP server.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "api/push.pb.h"

#include "base/ids.h"
#include "base/metrics.h"
#include "base/result.h"
#include "bus/push_log.h"
#include "presence/presence.h"

namespace encke::logic {

struct RelayCounts {
  Counter keys, mids, room, all;  // accepted, by kind
  // failed: refused.  unrouted: keys that are nowhere, and mids of requests of which none is
  // anywhere; the caller is told OK, as goim does.
  Counter failed, unrouted;
};

// What Relay needs of the world.
struct RelayPorts {
  std::function<void(const std::vector<Key>&, presence::Presence::OnPlaces)> find_keys;
  std::function<void(const std::vector<Mid>&, presence::Presence::OnPlaces)> find_mids;
  std::function<void(int partition,
                     const std::string& id,
                     std::string payload,
                     std::function<void(Result<std::uint64_t>)> done)>
      publish;
  int partitions = 16;
};

class Relay {
 public:
  // OK when every entry is stored; else the first error, after the last entry was answered.
  using OnStored = std::function<void(Status)>;
  explicit Relay(RelayPorts ports);
  Relay(presence::Presence& presence, bus::Publisher& publisher, const bus::LogOptions& log);
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  void PushKeys(std::int32_t op, std::vector<Key> keys, std::string body, OnStored done);
  void PushMids(std::int32_t op, const std::vector<Mid>& mids, std::string body, OnStored done);
  void PushRoom(std::int32_t op, const RoomId& room, std::string body, OnStored done);
  void PushAll(std::int32_t op, std::int32_t speed, std::string body, OnStored done);
  const RelayCounts& counts() const { return counts_; }

 private:
  struct Batch;  // entries by partition, in order
  void Publish(Batch&& batch, Counter& accepted, OnStored done);

  RelayPorts ports_;
  RelayCounts counts_;
};

}  // namespace encke::logic

#pragma once
// HistoryLog: what timelines keep beyond Redis: one stream per type, a subject per hundred numbers.
//
//   stream   ENCKE_HISTORY_<type>
//   subject  encke.history.<type>.<token>.<epoch>.<block>      block = seq / 100
//
// The token is the id of the room (or user) in base32hex, or its hash when that is long.  A payload
// is a PushMsg with its number.  When the stream is full or old, the oldest go.
//
// Owner    main of logic; borrows Nats and Publisher.
// Thread   any; everything but Put waits for the server, at most its call_timeout a message.
// Limit    kBlock entries a read; age and bytes of the stream.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "bus/nats.h"
#include "bus/push_log.h"

namespace encke::bus {

struct HistoryOptions {
  std::string type;
  Duration max_age{std::chrono::hours(24 * 365)};
  std::int64_t max_bytes = std::int64_t{10} << 30;
  int replicas = 1;
};

// base32hex without padding; "z" and 16 digits of a hash when that would be longer than 128.
std::string HistoryToken(std::string_view id);

class HistoryLog {
 public:
  static constexpr std::uint64_t kBlock = 100;
  struct Place {
    std::string type;
    std::string id;  // without the type
    std::uint64_t epoch = 0;
    std::uint64_t seq = 0;
  };

  HistoryLog(Nats& nats, Publisher& publisher) : nats_(nats), publisher_(publisher) {}

  // Also makes it again, by and by, when a server comes back without it.
  Status Ensure(const HistoryOptions& options) const;
  void Put(const Place& place, std::string payload, std::function<void(Status)> done);
  // The entries of the block that holds `place`, as they were put.
  Result<std::vector<std::string>> ReadBlock(const Place& place) const;
  // The newest entry of the place's id, of its epoch, or of its block.  kNotFound: there is none.
  enum class Scope : std::uint8_t { kAll, kEpoch, kBlock };
  Result<std::string> Newest(const Place& place, Scope scope) const;
  // The oldest entry of the place's epoch.  kNotFound: there is none.
  Result<std::string> Oldest(const Place& place) const;
  // Forgets what is up to place.seq, 0 = everything of the id.
  Status Purge(const Place& place) const;

 private:
  Status PurgeSubject(const Place& place, const std::string& subject) const;

  Nats& nats_;
  Publisher& publisher_;
};

}  // namespace encke::bus

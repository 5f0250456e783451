#pragma once
// Sessions: the session map, in goim's key names.
//
//   key_<key>   string   "<server> <generation> <mid>"
//   mid_<mid>   hash     field key -> "<server> <generation>"          (only for mid > 0)
//   encke_epoch string   "<random> <birth in microseconds>", made by whoever finds it missing
//
// Every write and delete is one Lua script guarded by the generation: an old connection's goodbye
// cannot remove a newer one's entry.  Generations are microseconds of the Redis clock, made
// strictly greater than the entry they replace, so they order logins of one key over all comets.
//
// Owner    main of logic; borrows Redis, and must outlive its Stop.
// Thread   any; callbacks on the Redis thread.
// Limit    Redis' commands_max; keys per lookup are bounded by the HTTP body.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"
#include "store/redis.h"

namespace encke::store {

struct SessionsOptions {
  Duration expire{30 * 60'000};
};

struct Place {  // where a key lives; empty server = nowhere
  Key key;
  ServerId server;
  std::uint64_t generation = 0;
  Mid mid;
};

class Sessions {
 public:
  Sessions(Redis& redis, const SessionsOptions& options);

  struct Arrival {
    std::uint64_t generation = 0;
    Place before;  // whom it replaces; server empty = nobody
  };
  // Whose keys a login may take over.  A key that belonged to another member until now is taken out
  // of that member's hash.
  enum class Claim : std::uint8_t { kAny, kOwn };
  // kConflict: the key is another member's, and the claim is for own ones; nothing was written.
  void Arrive(Mid mid,
              const Key& key,
              const ServerId& server,
              Claim claim,
              std::function<void(Result<Arrival>)> done);
  // Re-arms the TTL; writes the entry again when it is missing or of an older generation.
  // kConflict: a newer login holds the key; nothing was written.
  void Renew(Mid mid,
             const Key& key,
             const ServerId& server,
             std::uint64_t generation,
             std::function<void(Status)> done);
  // Removes only what still has this generation.
  void Depart(Mid mid,
              const Key& key,
              const ServerId& server,
              std::uint64_t generation,
              std::function<void(Status)> done);

  // One Place per key asked for, in that order.
  void FindKeys(const std::vector<Key>& keys, std::function<void(Result<std::vector<Place>>)> done);
  // Every key of these members, each once.
  void FindMids(const std::vector<Mid>& mids, std::function<void(Result<std::vector<Place>>)> done);
  // Removes an entry seen to name a dead comet, if it still does.
  void Forget(const Place& place);

  // What Redis remembers: `name` changes when data may have been lost (it was empty, or it is
  // another server process than before), `age` is how long ago that was at least.
  struct Memory {
    std::string name;
    Duration age{0};
  };
  void CheckMemory(std::function<void(Result<Memory>)> done);

  Duration expire() const { return options_.expire; }

 private:
  Redis& redis_;
  SessionsOptions options_;
  Redis::Script arrive_, renew_, depart_, memory_;
};

// "<server> <generation>[ <mid>]"; an entry without numbers (as goim writes it) has generation 0.
Place ParsePlace(Key key, std::string_view entry, bool with_mid);

}  // namespace encke::store

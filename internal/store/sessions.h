#pragma once
// Sessions: the session map, in goim's key names.
//
//   key_<key>   string   "<server> <generation>"
//   mid_<mid>   hash     field key -> "<server> <generation>"          (only for mid > 0)
//   encke_epoch string   random, set once with SET NX: its absence on reconnect means Redis came
//   back empty
//
// Every write and delete is one Lua script guarded by the generation: an old connection's goodbye
// cannot remove a newer one's entry.  Generations are microseconds of the Redis clock, made
// strictly greater than the entry they replace, so they order logins of one key over all comets.
//
// Owner    main of logic; borrows Redis.
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
};

class Sessions {
 public:
  Sessions(Redis& redis, const SessionsOptions& options);

  struct Arrival {
    std::uint64_t generation = 0;
    Place before;  // whom it replaces; server empty = nobody
  };
  void Arrive(Mid mid,
              const Key& key,
              const ServerId& server,
              std::function<void(Result<Arrival>)> done);
  // Re-arms the TTL; writes the entry again when it is missing or of an older generation.
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

  void FindKeys(const std::vector<Key>& keys, std::function<void(Result<std::vector<Place>>)> done);
  void FindMids(const std::vector<Mid>& mids, std::function<void(Result<std::vector<Place>>)> done);
  // Removes entries seen to name a dead comet, if they still do.
  void Forget(Mid mid, const Place& place);

 private:
  Redis& redis_;
  SessionsOptions options_;
  Redis::Script arrive_, renew_, depart_;
};

}  // namespace encke::store

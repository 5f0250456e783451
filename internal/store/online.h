#pragma once
// Online: how many are in each room, over the cluster.
//
//   ol_<comet>   hash    room -> members on that comet, no zeros       TTL, renewed by every report
//   olv_<comet>  string  counts up with every change of the hash, so that readers skip what they
//   know
//
// Owner    main of logic; borrows Redis.
// Thread   any; callbacks on the Redis thread.
// Limit    one field per room with members.

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"
#include "store/redis.h"

namespace encke::store {

using RoomTable = std::unordered_map<std::string, std::int32_t>;

class Online {
 public:
  Online(Redis& redis, Duration expire);

  // changes: room -> members there now, 0 = none.  snapshot: the table is replaced.
  void Report(const ServerId& comet,
              bool snapshot,
              const RoomTable& changes,
              std::function<void(Status)> done);
  struct Seen {
    std::int64_t version = -1;
    RoomTable rooms;
  };
  // The table of one comet, unless its version is still `known`: then the same Seen comes back.
  void Read(const ServerId& comet, Seen known, std::function<void(Result<Seen>)> done);
  void Forget(const ServerId& comet);  // it is gone from the registry

 private:
  Redis& redis_;
  Duration expire_;
  Redis::Script report_;
};

}  // namespace encke::store

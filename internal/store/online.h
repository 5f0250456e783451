#pragma once
// Online: how many are in each room, over the cluster.
//
//   ol_<comet>   hash    room -> members on that comet, no zeros       TTL, renewed by every report
//   olv_<comet>  string  grows with every change of the hash (microseconds of the Redis clock, made
//                        strictly greater), so that readers skip what they know
//
// Owner    main of logic; borrows Redis, and must outlive its Stop.
// Thread   any; callbacks on the Redis thread.
// Limit    one field per room with members; a report leaves in pieces of kRoomsPerCommand.

#include <cstdint>
#include <functional>
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
  static constexpr std::size_t kRoomsPerCommand = 2000;  // keeps a script under some milliseconds

  Online(Redis& redis, Duration expire);

  // changes: room -> members there now, 0 = none.  snapshot: the table is replaced.  A report
  // without changes renews the TTL.  A reader may see a snapshot of several pieces half done; the
  // version tells it to look again.
  void Report(const ServerId& comet,
              bool snapshot,
              const RoomTable& changes,
              const std::function<void(Status)>& done);
  struct Seen {
    std::int64_t version = -1;
    RoomTable rooms;
  };
  // The table of one comet, unless its version is still `known`: then nothing comes back.
  struct Table {
    bool changed = false;
    Seen seen;  // when changed; version -1 and empty: there is none
  };
  void Read(const ServerId& comet,
            std::int64_t known_version,
            std::function<void(Result<Table>)> done);

  Duration expire() const { return expire_; }

 private:
  Redis& redis_;
  Duration expire_;
  Redis::Script report_, read_;
};

}  // namespace encke::store

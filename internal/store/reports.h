#pragma once
// Reports: what became of pushes that asked for it.
//
//   rp_<push id>   hash   "<who>/<name>" -> absolute count of that teller       TTL kKept
//
// Owner    main of logic; borrows Redis, and must outlive its Stop.
// Thread   any; callbacks on the Redis thread.
// Limit    one hash per push that asked, of a few fields per comet; it ends kKept after the last
//          word about it.

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "store/redis.h"

namespace encke::store {

class Reports {
 public:
  static constexpr Duration kKept{60 * 60'000};

  explicit Reports(Redis& redis) : redis_(redis) {}

  using Counts = std::vector<std::pair<std::string, std::uint64_t>>;
  // `who` says absolute values, so that saying them twice does no harm.
  void Tell(const std::string& id,
            const std::string& who,
            const Counts& counts,
            const std::function<void(Status)>& done);
  // By name, summed over those who told; empty: nobody said anything, or it is long ago.
  using Sums = std::map<std::string, std::uint64_t>;
  void Read(const std::string& id, std::function<void(Result<Sums>)> done);

 private:
  Redis& redis_;
};

}  // namespace encke::store

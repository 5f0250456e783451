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

// For the scripts of timelines, whose entries are {"7-0", {"p", payload, "t", ms, "i", id, "r", "1"
// if a report is wanted}}: a push is in one more inbox; one more device has what lies between two
// numbers.  Only reports that are still there are added to.
inline constexpr char kReportWords[] = R"lua(
local function report_kept(meta_key, seq, id, keep_ms)
  redis.call('HSET', meta_key, 'w', seq)
  redis.call('HINCRBY', 'rp_' .. id, 'inbox/kept', 1)
  redis.call('PEXPIRE', 'rp_' .. id, keep_ms)
end
local function report_acknowledged(stream, before, upto, keep_ms)
  local from = '(' .. before .. '-0'
  while from do
    local batch = redis.call('XRANGE', stream, from, upto .. '-0', 'COUNT', 100)
    for _, entry in ipairs(batch) do
      local report = entry[2][8] and 'rp_' .. entry[2][6]
      if report and redis.call('EXISTS', report) == 1 then
        redis.call('HINCRBY', report, 'inbox/acknowledged', 1)
        redis.call('PEXPIRE', report, keep_ms)
      end
    end
    from = #batch == 100 and '(' .. batch[100][1]
  end
end
)lua";

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

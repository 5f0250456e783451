#pragma once
// Lines: what this comet has taken over of the push log, partition by partition.
//
// A batch of an older lease is refused.  Of a newer one exactly those entries are taken that were
// not taken before: a job may send an entry late, after others behind it, because only then it
// learned that a room of ours wanted it.  With another log everything starts anew.
//
// Owner    PushDoor.
// Thread   any; one lock.
// Limit    one line per partition; a line remembers the last kSeenMax entries it took (256 KiB),
//          and what is older than those counts as taken.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>
#include <vector>

#include "api/comet.pb.h"

#include "base/threads.h"

namespace encke::downlink {

inline constexpr std::size_t kSeenMax = 32'768;

class Seen {
 public:
  bool Take(std::uint64_t seq);  // false: taken before, or too old to know
  void Clear();

 private:
  std::deque<std::uint64_t> taken_;  // ascending
  std::uint64_t forgotten_ = 0;      // up to here
};

class Lines {
 public:
  // Until Release no other claimant gets these partitions.  False: somebody has one of them.
  bool Claim(const PushDown& in, const void* claimant);
  void Release(const void* claimant);
  // Which entries are new; nothing: refused.
  std::optional<std::vector<bool>> Take(const PushBatch& batch);

 private:
  struct Line {
    std::uint64_t fence = 0;
    std::uint64_t log = 0;
    Seen seen;
    const void* claimant = nullptr;
  };
  Guarded<std::unordered_map<std::uint32_t, Line>> lines_;
};

}  // namespace encke::downlink

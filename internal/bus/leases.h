#pragma once
// Leases: which job reads which partition, in NATS KV bucket "encke_leases", key "p.<partition>";
// checkpoints in "encke_checkpoints", same keys.
//
// A lease names its holder and is renewed every renew_interval; when nothing was heard of it for
// `expire` on the reader's own clock, anybody may take it over (compare-and-set).  A holder that
// could not renew in time stops by itself one renew_interval before that.  The fence is the
// revision at which it was taken plus the time at which the bucket was made, in ns: it only grows,
// also over a bucket that was lost and made anew.  Jobs share evenly: each holds at most ceil(P /
// live jobs) and gives the rest up (fleet/lease_table.h has the rule).
//
// Owner    main of job.
// Thread   own thread; callbacks come on it and must be quick, because it also renews.  Save,
//          SetHolders, held: any.
// Limit    one entry per partition.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "bus/nats.h"
#include "fleet/lease_table.h"

namespace encke::bus {

using LeaseOptions = fleet::LeaseOptions;

struct Lease {
  int partition = 0;
  std::uint64_t fence = 0;
  std::uint64_t checkpoint = 0;  // everything up to this sequence is done; 0 = nothing yet
  std::uint64_t log = 0;         // which log that is (bus/push_log.h); 0 = not known
};

class Leases {
 public:
  Leases(Nats& nats, int partitions, const std::string& holder, const LeaseOptions& options);
  ~Leases();  // gives everything up: `lost` for each, its checkpoint written, then free for others
  Leases(const Leases&) = delete;
  Leases& operator=(const Leases&) = delete;

  // gained: start reading at checkpoint + 1.  lost: stop; it must have stopped when this returns.
  void Start(std::function<void(const Lease&)> gained, std::function<void(int partition)> lost);
  void SetHolders(std::size_t live_jobs);  // from the registry, at every change; at least 1
  // Remembers the checkpoint of a lease; written at most every renew_interval, and when the lease
  // is given up.
  void Save(const Lease& lease);
  std::vector<int> held() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace encke::bus

#pragma once
// PushDoor: comet's end of the streams from all jobs: batches in, acknowledgements and interest
// out.
//
// A batch is acknowledged when every shard concerned has run its task and had a turn of writing to
// its sockets, so a job's window covers our mailboxes.  Entries seen before (sequence per
// partition) are dropped, batches of an older lease (fence per partition) refused.  Nothing else is
// ever dropped here: a full mailbox makes the reading of that stream wait.  Two jobs that deliver
// one partition (a takeover) do so one after the other, so order survives it.
//
// Owner    main of comet; outlives rpc::Server.
// Thread   any: gRPC threads read and write, shards report.
// Limit    one message being posted per stream, the posted ones are bounded by the mailboxes and
// the
//          job's window; acknowledgements merge per (partition, fence).

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "downlink/interest.h"
#include "downlink/shard_port.h"
#include "hub/directory.h"
#include "rpc/streams.h"

namespace encke::downlink {

class Reports;

struct PushDoorOptions {
  Duration mailbox_retry{1};   // pause before a full mailbox is tried again
  Reports* reports = nullptr;  // null: nobody is told what became of a push
};

struct PushDoorCounts {
  Gauge jobs;
  Counter batches;
  Counter entries;        // taken over, malformed ones included
  Counter repeats;        // entries seen before, dropped
  Counter refused_fence;  // batches of an older lease
  Counter malformed;      // entries that are no PushMsg, acknowledged and skipped
  Counter unknown_keys;   // keys that are not connected here
  Counter filtered;       // pushes to keys that do not accept the operation
  Counter dropped;        // pushes the hub refused: a bound was reached, or a client is slow
  Counter expired;        // pushes to a key or a shard's room, too late
  Counter commands;       // kicks, joins and leaves by backends, per key or shard
  Counter repaired;       // pushes that job brought from a timeline, not from the log
  Counter mailbox_waits;  // posts that a full mailbox refused
  Counter turn_waits;     // claims refused: another job still delivers the same partition
  Histogram delay_us;     // logic accepted the push -> a shard has it
};

class PushDoor {
 public:
  // boot: changes with every start of the process.
  PushDoor(const PushDoorOptions& options,
           Interest& interest,
           hub::Directory& directory,
           std::vector<ShardPort*> shards,
           std::string comet,
           std::uint64_t boot);
  ~PushDoor();
  PushDoor(const PushDoor&) = delete;
  PushDoor& operator=(const PushDoor&) = delete;

  // For rpc::Server; must live as long as the server.
  std::shared_ptr<grpc::Service> MakeService();
  // What the service calls for each stream.  Null while draining.
  std::shared_ptr<rpc::PushServerUser> Accept(std::shared_ptr<rpc::StreamHandle> handle);
  // Refuses new streams, closes those that are open, ends waits for full mailboxes.  To be called
  // before the shards stop.
  void Drain();

  const PushDoorCounts& counts() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace encke::downlink

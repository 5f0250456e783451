#pragma once
// PushLog: appending to the push log, and reading one partition of it in order.
//
// A room goes to hash(room) mod P, a push to keys to hash(comet id) mod P, a broadcast to partition
// 0 (FNV-1a 64: any language can compute it).  Nats-Msg-Id = push id, so that a retry is stored
// once.
//
// Owner    Publisher: main of logic.  PartitionReader: job's Reader.  Both borrow Nats.
// Thread   Publish: any; `done` comes on a NATS thread.  Reader callback: one thread per partition.
// Limit    in_flight_max publishes unacknowledged (kOverloaded past it).

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/result.h"
#include "bus/nats.h"

namespace encke::bus {

int PartitionOf(std::string_view name, int partitions);

struct PublisherOptions {
  std::size_t in_flight_max = 16'384;
  Duration ack_timeout{2000};  // then one retry with the same id, then kTimeout
};

struct PublisherCounts {
  Counter published, retried, failed, duplicates;
  Histogram ack_us;
};

class Publisher {
 public:
  Publisher(Nats& nats, const LogOptions& log, const PublisherOptions& options);
  ~Publisher();  // waits for what is in flight, at most ack_timeout
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;

  // done: stream sequence once stored, else why not (kOverloaded, kTimeout, kUnavailable = log full
  // or no quorum).  An unanswered publish may still be stored.
  void Publish(int partition,
               const std::string& id,
               std::string payload,
               std::function<void(Result<std::uint64_t>)> done);
  std::size_t in_flight() const;
  const PublisherCounts& counts() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

struct LogMessage {
  std::uint64_t seq = 0;
  std::string_view payload;   // valid during the callback
  std::uint64_t pending = 0;  // what the server has behind this one: the lag
};

class PartitionReader {
 public:
  // Calls `each` from `from_seq` on, ascending, on one thread; blocking in it is back-pressure.
  static Result<std::unique_ptr<PartitionReader>> Open(Nats& nats,
                                                       const LogOptions& log,
                                                       int partition,
                                                       std::uint64_t from_seq,
                                                       std::function<void(const LogMessage&)> each);
  ~PartitionReader();  // when it returns `each` will not be called any more
  PartitionReader(const PartitionReader&) = delete;
  PartitionReader& operator=(const PartitionReader&) = delete;

 private:
  struct Impl;
  PartitionReader();
  std::unique_ptr<Impl> impl_;
};

}  // namespace encke::bus

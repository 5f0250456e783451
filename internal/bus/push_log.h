#pragma once
// PushLog: appending to the push log, and reading one partition of it in order.
//
// A room goes to hash(room) mod P, a push to keys to hash(comet id) mod P, a broadcast to partition
// 0 (FNV-1a 64: any language can compute it).  Nats-Msg-Id = push id, so that a retry is stored
// once.
//
//   entry := PushMsg | PushMsg{together: PushMsg, PushMsg ...}        a bundle: a batch made cheap
//
// A place names one push on the log: entry * 1024 + how manieth of it; the last one of an entry is
// the 1023rd, so that the place after it is in the next entry.  Places ascend, and whoever reads,
// acknowledges or keeps a checkpoint knows nothing but places.
//
// Owner    Publisher: main of logic.  PartitionReader: job's Reader.  Both borrow Nats.
// Thread   Publish: any; `done` comes on the publisher's own thread, or before Publish returns when
//          refused at once.  Reader callback: one thread per partition.
// Limit    in_flight_max publishes unacknowledged (kOverloaded past it); a reader has at most 256
//          entries between the server and its callback.  1023 pushes and 256 KiB in a bundle; one
//          larger push goes alone.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/result.h"
#include "bus/nats.h"

namespace encke::bus {

int PartitionOf(std::string_view name, int partitions);

inline constexpr std::uint64_t kPlaces = 1024;
constexpr std::uint64_t EntryOf(std::uint64_t place) { return place / kPlaces; }
constexpr std::uint64_t LastPlace(std::uint64_t entry) { return entry * kPlaces + kPlaces - 1; }

inline constexpr std::size_t kBundleBytesMax = std::size_t{256} * 1024;
inline constexpr std::size_t kBundlePushesMax = kPlaces - 1;
// Serialized PushMsgs of one partition, in order: the entries to publish.
std::vector<std::string> Bundle(std::vector<std::string> pushes);
// Each push of an entry with its place.  What is no bundle is one push, whatever it is.
void EachPush(std::uint64_t entry,
              std::string_view payload,
              const std::function<void(std::uint64_t place, std::string_view push)>& visit);

// What JetStream answers to a publish.
struct StoreReply {
  std::uint64_t seq = 0;
  bool duplicate = false;  // the id was known: seq is that of the first
};
Result<StoreReply> ParseStoreReply(std::string_view json);

struct PublisherOptions {
  std::size_t in_flight_max = 65'536;
  Duration ack_timeout{2000};  // then one retry with the same id, then kTimeout
};

struct PublisherCounts {
  Counter published, retried, failed, duplicates;
  Histogram ack_us;
};

class Publisher {
 public:
  Publisher(Nats& nats, const LogOptions& log, const PublisherOptions& options);
  ~Publisher();  // stops
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;

  // done, exactly once: number of the entry once stored, else why not (kOverloaded; kTimeout;
  // kUnavailable = not connected, log full or no quorum; kClosed).  An unanswered publish may still
  // be stored.
  void Publish(int partition,
               const std::string& id,
               std::string payload,
               std::function<void(Result<std::uint64_t>)> done);
  // The same to another subject that a stream keeps.
  void PublishTo(std::string subject,
                 const std::string& id,
                 std::string payload,
                 std::function<void(Result<std::uint64_t>)> done);
  // Refuses what comes from now on and waits for what is in flight, at most ack_timeout; then no
  // callback comes any more.  Once, from any thread but the callbacks'.
  void Stop();
  std::size_t in_flight() const;
  const PublisherCounts& counts() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

struct LogMessage {
  std::uint64_t seq = 0;      // its place
  std::string_view payload;   // valid during the callback
  std::uint64_t pending = 0;  // what the server has behind this one: the lag
  // Which log `seq` belongs to: another number when the log was made anew or lost its tail.  Never
  // 0; sequences of different logs say nothing about each other.
  std::uint64_t log = 0;
  // Entries (of all partitions) that were gone before they could be read, since the one before.
  std::uint64_t skipped = 0;
};

// Where to begin.
struct LogPlace {
  std::uint64_t seq = 1;
  std::uint64_t log = 0;  // which log `seq` belongs to; 0 = not known
};

class PartitionReader {
 public:
  // Calls `each` for every push from that place on, ascending, on one thread; blocking in it is
  // back-pressure.  Needs no connection now: it starts when there is one and goes on after every
  // outage.  A log that turns out to be another one is read from its beginning.
  static Result<std::unique_ptr<PartitionReader>> Open(Nats& nats,
                                                       const LogOptions& log,
                                                       int partition,
                                                       LogPlace from,
                                                       std::function<void(const LogMessage&)> each);
  ~PartitionReader();  // when it returns `each` will not be called any more; not from within it
  PartitionReader(const PartitionReader&) = delete;
  PartitionReader& operator=(const PartitionReader&) = delete;

  // Log entries (of all partitions) that were gone before they could be read.
  std::uint64_t skipped() const;
  // How often the server was asked anew: after lost connections, gaps and silence.
  std::uint64_t restarts() const;

 private:
  struct Impl;
  PartitionReader();
  std::unique_ptr<Impl> impl_;
};

}  // namespace encke::bus

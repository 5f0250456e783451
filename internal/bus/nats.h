#pragma once
// Nats: one connection, and the JetStream stream and KV buckets it needs.  cnats lives in this
// folder.
//
// Owner    main of each daemon.
// Thread   any; one of its own makes streams again that a server lost.  Reconnects for ever.
// Limit    nats_options: ping 2 s x 2, unlimited reconnects; JetStream calls wait at most
// call_timeout.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/result.h"

namespace encke::bus {

struct NatsOptions {
  std::vector<std::string> servers = {"nats://127.0.0.1:4222"};
  std::string name;  // shown by the server
  Duration call_timeout{2000};
  Duration connect_timeout{2000};
};

struct LogOptions {  // the push log; every daemon that names it must say the same
  std::string stream = "ENCKE_PUSH";
  std::string subject = "encke.push";  // + ".<partition>"
  int partitions = 16;
  int replicas = 1;
  Duration max_age{3'600'000};
  std::int64_t max_bytes =
      4LL << 30;  // full: publishing fails (discard new), nothing is thrown away
  Duration duplicate_window{120'000};
};

struct NatsCounts {
  Counter disconnects, reconnects, errors;
  Counter untold;  // by Tell
};

class Nats {
 public:
  // Waits for the first connection up to connect_timeout.
  static Result<std::unique_ptr<Nats>> Connect(const NatsOptions& options);
  ~Nats();
  Nats(const Nats&) = delete;
  Nats& operator=(const Nats&) = delete;

  // Creates stream and buckets when absent; limits of existing ones are changed to these options;
  // an existing stream with other partitions or of another make is an error (kConflict).
  // What was asked for is made again, on a thread of our own, when a server comes back without it.
  Status EnsureLog(const LogOptions& options);
  Status EnsureBuckets(int replicas);

  // To whoever listens now: nothing is stored unless a stream of somebody's keeps the subject.
  Status Tell(const std::string& subject, std::string_view payload) const;

  bool connected() const;
  const NatsOptions& options() const;
  const NatsCounts& counts() const;

 private:
  friend struct NatsHandles;  // kv.h: the types of cnats, for this folder only
  struct Impl;
  Nats();
  std::unique_ptr<Impl> impl_;
};

}  // namespace encke::bus

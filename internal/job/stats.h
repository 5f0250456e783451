#pragma once
// Stats: what job counts, as /metrics shows it, and whether it is ready.
//
// Owner    main.
// Thread   any.
// Limit    one line per partition and per comet of the registry.

#include <cstdint>
#include <string>

#include "base/metrics.h"
#include "sequence/sequencer.h"

namespace encke::bus {
class Leases;
class Nats;
class Registry;
}  // namespace encke::bus

namespace encke::job {

class Readers;
class Router;

struct Stats {
  Counter read;       // log entries
  Counter malformed;  // of them, those that are no PushMsg
  Counter skipped;    // log entries, of all partitions, that were gone before they could be read
  Counter new_logs;   // times a partition's log turned out to be another one
  Counter pushes;     // routed, by kind
  Counter rooms;
  Counter broadcasts;
  Counter unroutable;       // pushes to a comet that is not in the registry
  Counter deliveries;       // entries given to a stream
  Counter acked;            // entries a comet took over
  Counter resent;           // entries sent again after a reconnect
  Counter left_behind;      // entries a stuck comet did not get
  Counter undeliverable;    // entries whose comet went or was restarted
  Counter not_concerned;    // entries that waited for a room the comet turned out not to have
  Counter fenced;           // entries dropped because another job owns their partition
  Counter doubts_given_up;  // entries no comet wanted, too many to wait for the proof of it
  Counter streams_closed;
  sequence::SequencerCounts sequence;  // of entries in timelines
  Histogram ack_us;                    // queued for a comet -> acknowledged by it
  Histogram route_us;                  // accepted by logic -> queued for the comets
  Histogram batch;                     // entries in one message to a comet
};

// What the pages look at.
struct Parts {
  const Stats& stats;
  const bus::Nats& nats;
  const bus::Registry& registry;
  const bus::Leases& leases;
  const Router& router;
  const Readers& readers;
  int partitions = 0;
};

std::string MetricsText(const Parts& parts);
// Empty: NATS is connected, we hold our share of the leases and read them, every comet is linked.
std::string WhyUnready(const Parts& parts);

}  // namespace encke::job

#pragma once
// Tally: what a swarm counted: deliveries, repeats, connects, and for every push how many of its
// connections received it.
//
// Owner    one per swarm; copies are merged for a report.
// Thread   the owner's.
// Limit    kStreamsMax streams, kSequencesMax pushes in each; what is past them counts as foreign.

#include <cstdint>
#include <vector>

#include <nlohmann/json.hpp>

#include "tally/histogram.h"

namespace encke::bench {

// [stream][sequence]: a count or a fate.
using PerPush = std::vector<std::vector<std::uint32_t>>;

constexpr std::uint32_t kStreamsMax = 1U << 22;
constexpr std::uint32_t kSequencesMax = 1U << 26;

struct Tally {
  std::uint64_t delivered = 0;     // repeats not counted
  std::uint64_t duplicates = 0;    // the same push again
  std::uint64_t out_of_order = 0;  // delivered after a later one of its stream
  std::uint64_t foreign = 0;       // pushes that are not of this run
  std::uint64_t bytes = 0;         // received in all
  std::uint64_t connects = 0;      // auth replies
  std::uint64_t attempts = 0;      // connects begun
  std::uint64_t failed = 0;        // clients that gave up
  std::uint64_t closed = 0;        // by the server, after the auth reply
  std::uint64_t churned = 0;
  std::uint64_t heartbeats = 0, heartbeat_replies = 0;
  Histogram latency_us;  // planned time to our decoder
  Histogram connect_us;  // connect() to auth reply
  PerPush received;

  bool CountPush(std::uint32_t stream, std::uint32_t sequence);
  void Merge(const Tally& other);
  // Counters and histograms, without `received`.
  nlohmann::ordered_json ToJson() const;
};

// Runs of equal values, zeros left out: [[stream, first, last, value], ...].
nlohmann::ordered_json Runs(const PerPush& values);

}  // namespace encke::bench

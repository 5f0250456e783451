#include "tally/tally.h"

namespace encke::bench {

bool Tally::CountPush(std::uint32_t stream, std::uint32_t sequence) {
  if (stream >= kStreamsMax || sequence >= kSequencesMax) return false;
  if (stream >= received.size()) received.resize(stream + 1);
  auto& counts = received[stream];
  if (sequence >= counts.size()) counts.resize(sequence + 1);
  ++counts[sequence];
  ++delivered;
  return true;
}

void Tally::Merge(const Tally& other) {
  delivered += other.delivered;
  duplicates += other.duplicates;
  out_of_order += other.out_of_order;
  foreign += other.foreign;
  bytes += other.bytes;
  connects += other.connects;
  attempts += other.attempts;
  failed += other.failed;
  closed += other.closed;
  churned += other.churned;
  heartbeats += other.heartbeats;
  heartbeat_replies += other.heartbeat_replies;
  latency_us.Merge(other.latency_us);
  connect_us.Merge(other.connect_us);
  if (other.received.size() > received.size()) received.resize(other.received.size());
  for (std::size_t s = 0; s < other.received.size(); ++s) {
    const auto& from = other.received[s];
    auto& to = received[s];
    if (from.size() > to.size()) to.resize(from.size());
    for (std::size_t i = 0; i < from.size(); ++i)
      to[i] += from[i];
  }
}

nlohmann::ordered_json Tally::ToJson() const {
  return {{"delivered", delivered},
          {"duplicates", duplicates},
          {"out_of_order", out_of_order},
          {"foreign", foreign},
          {"bytes", bytes},
          {"connects", connects},
          {"attempts", attempts},
          {"failed", failed},
          {"closed", closed},
          {"churned", churned},
          {"heartbeats", heartbeats},
          {"heartbeat_replies", heartbeat_replies},
          {"latency_us", latency_us.Sparse()},
          {"connect_us", connect_us.Sparse()}};
}

nlohmann::ordered_json Runs(const PerPush& values) {
  auto out = nlohmann::ordered_json::array();
  for (std::size_t s = 0; s < values.size(); ++s) {
    const auto& v = values[s];
    for (std::size_t from = 0, to = 0; from < v.size(); from = to) {
      while (to < v.size() && v[to] == v[from])
        ++to;
      if (v[from] > 0) out.push_back({s, from, to - 1, v[from]});
    }
  }
  return out;
}

}  // namespace encke::bench

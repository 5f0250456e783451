#pragma once
// Board: what the processes of the floor tell each other. One cell per pair of sender and receiver,
// in memory they share; commands and results travel over a socket pair.
//
// Owner    main of encke-floor maps it before it forks.
// Thread   each counter has one writer.
// Limit    none.

#include <atomic>
#include <cstdint>

namespace encke::floor {

struct alignas(64) Cell {
  std::atomic<std::uint64_t> accepted{0};              // sockets, by the sender
  alignas(64) std::atomic<std::uint64_t> received{0};  // bytes, by the receiver
};

// One measured stretch, sent to every sender.
struct Command {
  std::uint32_t batch = 1;  // frames in one send
  std::uint32_t body_bytes = 50;
  bool ws = false;
  double seconds = 0.7;      // rounds begin until then; one is always done
  double rounds_per_s = 0;   // 0 = as fast as the receivers drain
  std::uint32_t rounds = 0;  // > 0: so many instead of `seconds`
};

struct Outcome {
  std::uint64_t rounds = 0;
  std::uint64_t sends = 0;  // that the kernel took whole
  std::uint64_t refused = 0;
  std::uint64_t bytes = 0;
  double user_s = 0;
  double system_s = 0;
  double wall_s = 0;

  void Add(const Outcome& other) {
    rounds = other.rounds > rounds ? other.rounds : rounds;
    sends += other.sends;
    refused += other.refused;
    bytes += other.bytes;
    user_s += other.user_s;
    system_s += other.system_s;
    wall_s = other.wall_s > wall_s ? other.wall_s : wall_s;
  }
  double cpu_s() const { return user_s + system_s; }
};

}  // namespace encke::floor

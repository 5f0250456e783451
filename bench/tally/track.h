#pragma once
// Track: what one connection has seen of one stream: the newest sequence and which of the 63 before
// it.  Twelve bytes tell new, late and repeated apart.
//
// Owner    a client, or its swarm for further streams.
// Thread   the swarm's.
// Limit    a push more than 63 numbers late counts as late although it may be a repeat.

#include <cstdint>

namespace encke::bench {

enum class Arrival : std::uint8_t { kNew, kLate, kRepeat };

class Track {
 public:
  Arrival Note(std::uint32_t sequence) {
    if (seen_ == 0 || sequence > last_) {
      const std::uint32_t ahead = sequence - last_;
      seen_ = (seen_ == 0 || ahead >= 64 ? 0 : seen_ << ahead) | 1;
      last_ = sequence;
      return Arrival::kNew;
    }
    const std::uint32_t behind = last_ - sequence;
    if (behind >= 64) return Arrival::kLate;
    const std::uint64_t bit = std::uint64_t{1} << behind;
    if ((seen_ & bit) != 0) return Arrival::kRepeat;
    seen_ |= bit;
    return Arrival::kLate;
  }
  bool empty() const { return seen_ == 0; }

 private:
  std::uint64_t seen_ = 0;  // bit k: last_ - k has come
  std::uint32_t last_ = 0;
};

}  // namespace encke::bench

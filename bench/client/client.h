#pragma once
// Client: all that is kept for one connection; nothing else while it is idle.
//
// Owner    its swarm, in a vector.
// Thread   the swarm's.
// Limit    40 bytes.

#include <cstdint>

#include "tally/track.h"

namespace encke::bench {

enum class Stage : std::uint8_t {
  kIdle,        // not connected
  kConnecting,  // the handshake of TCP is under way
  kUpgrading,   // that of WebSocket
  kAuth,        // waits for the auth reply
  kReady,
};

struct Client {
  int fd = -1;
  Stage stage = Stage::kIdle;
  bool ws = false;
  std::uint8_t attempts = 0;     // failed ones in a row
  std::uint32_t began_us = 0;    // connect() was called; low half of the clock
  std::uint32_t frame_left = 0;  // see DecodeFrames
  std::uint32_t pending = 0;     // slot of a partial package's bytes; 0 = none
  std::uint32_t stream = 0;      // the stream that `track` follows
  Track track;
};
static_assert(sizeof(Client) == 40);

}  // namespace encke::bench

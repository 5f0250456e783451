#pragma once
// Batch: pushes put one behind the other; Outgoing: a batch on its way, encoded once per format.
//
//   TCP        package package ...
//   WebSocket  one binary frame: header(ver 1, op 9, seq 0) package package ...
//
// Owner    Batch: the room it waits for.  Outgoing: the walk; sinks may keep its bytes.
// Thread   the shard's.
// Limit    BatchLimits.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "hub/hub.h"

namespace encke::hub {

struct BatchLimits {
  std::size_t bytes_max = 0;      // one larger push still goes, alone
  std::size_t messages_max = 0;   // in one batch
  std::uint32_t renumber_at = 0;  // see Room
};

struct Batch {
  std::string packages;
  std::uint32_t first = 0;  // number of its first message in the room
  std::uint32_t messages = 0;
};

std::size_t PushBytes(std::string_view body);  // what AppendPush will add
void AppendPush(std::string* out, std::int32_t op, std::string_view body);

class Outgoing {
 public:
  explicit Outgoing(std::string packages) : tcp_(Share(std::move(packages))) {}
  // The WebSocket form is made when the first WebSocket channel asks.
  const SharedBytes& As(Format format);
  // Without the first `skip` packages, for a channel that came while they gathered.
  const SharedBytes& Tail(Format format, std::uint32_t skip);

 private:
  struct Cut {
    std::uint32_t skip = 0;
    SharedBytes bytes;
  };

  SharedBytes tcp_;
  SharedBytes ws_;
  std::array<Cut, 2> tails_;  // the last tail asked for, per format: late comers come in order
};

}  // namespace encke::hub

#pragma once
// Batch: pushes put one behind the other; Outgoing: a batch on its way, encoded once per format.
//
//   TCP          package package ...
//   WebSocket    one binary frame: header(ver 1, op 9, seq 0) package package ...
//   TCP 2        package package ...                    packages of version 2
//   WebSocket 2  one binary frame: package package ...
//
// A batch has a lane for each version that has members in the room.
//
// Owner    Batch: the room it waits for.  Outgoing: the walk; sinks may keep its bytes.
// Thread   the shard's.
// Limit    BatchLimits.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "hub/hub.h"

namespace encke::hub {

struct BatchLimits {
  std::size_t bytes_max = 0;      // one larger push still goes, alone
  std::size_t messages_max = 0;   // in one batch
  std::uint32_t renumber_at = 0;  // see Room
  std::size_t hot_bytes_per_s = 1;
};

// The packages of one version, from the message on with which it began.
struct Lane {
  std::string packages = {};
  std::uint32_t skipped = 0;  // messages of the batch before it began
  bool begun = false;
};

struct Batch {
  Lane one, two;
  std::uint32_t first = 0;  // number of its first message in the room
  std::uint32_t messages = 0;
  // In the room's timeline; 0 = none of them is in one.
  std::uint64_t epoch = 0, from = 0, to = 0;
  std::shared_ptr<const Extras> extras;  // then it has one message only

  std::size_t bytes() const { return one.packages.size() + two.packages.size(); }
  bool Fits(const BatchLimits& limits, const Push& push) const;
  // Into the lanes of those that are here; answers the bytes added.
  std::size_t Add(const Push& push, bool ones_here, bool twos_here);
};

class Outgoing {
 public:
  Outgoing(Lane one, Lane two);
  // Of a single push.
  explicit Outgoing(const wire::Push& push);
  // A WebSocket form is made when the first WebSocket channel asks.
  const SharedBytes& As(Format format) {
    const SharedBytes& bytes = whole_[static_cast<std::size_t>(format)];
    return bytes != nullptr ? bytes : Make(format);
  }
  // Without the first `skip` packages, for a channel that came while they gathered.
  const SharedBytes& Tail(Format format, std::uint32_t skip) {
    return skip == 0 ? As(format) : CutTail(format, skip);
  }

 private:
  struct Cut {
    std::uint32_t skip = 0;
    SharedBytes bytes;
  };
  const SharedBytes& Make(Format format);
  const SharedBytes& CutTail(Format format, std::uint32_t skip);

  std::array<SharedBytes, kFormats> whole_;
  std::array<std::uint32_t, 2> skipped_{};  // by version: what the lane never had
  std::array<Cut, kFormats> tails_;         // the last tail asked for: late comers come in order
};

}  // namespace encke::hub

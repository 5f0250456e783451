#pragma once
// Requests: which push number n of a caller is, and its HTTP request.
//
// A group is who one push is for: a room, --targets users, or everybody.  Every stream belongs to
// one group and to one caller (HTTP connection), so that the order of its pushes is defined; a
// group has several streams only when there are fewer groups than callers.
//
// Owner    value types.
// Thread   any.
// Limit    none.

#include <cstdint>
#include <string>
#include <vector>

#include "options.h"
#include "tally/stamp.h"

namespace encke::bench {

struct Layout {
  std::uint32_t groups;
  std::uint32_t callers;
  std::uint32_t per_group;  // streams

  Layout(std::uint32_t group_count, std::uint32_t caller_count)
      : groups(group_count),
        callers(caller_count),
        per_group((caller_count + group_count - 1) / group_count) {}

  std::uint32_t streams() const { return groups * per_group; }
  std::uint32_t GroupOf(std::uint32_t stream) const { return stream / per_group; }
  // Caller c has streams c, c + callers, ...
  std::uint32_t StreamsOf(std::uint32_t caller) const {
    return streams() / callers + (caller < streams() % callers ? 1 : 0);
  }
};

// Push m of a caller: batches of `batch` pushes go round its streams.
struct Place {
  std::uint32_t stream;
  std::uint32_t sequence;
};
Place PlaceOf(const Layout& layout, std::uint32_t caller, std::uint64_t m, std::uint32_t batch);

// route: room, mids, keys or all.
void AppendRequest(const Options& options,
                   const std::string& route,
                   std::uint32_t group,
                   const Stamp& stamp,
                   std::string* out);

struct AimedStamp {
  std::uint32_t group;
  Stamp stamp;
};
// Encke's POST /v1/pushes:batch: pushes to rooms, in their order.
void AppendBatchRequest(const Options& options,
                        const std::vector<AimedStamp>& pushes,
                        std::string* out);

}  // namespace encke::bench

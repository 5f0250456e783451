#pragma once
// Batch: pushes put one behind the other; Outgoing: a batch on its way, encoded once per format.
//
//   TCP          package package ...
//   WebSocket    one binary frame: header(ver 1, op 9, seq 0) package package ...
//   TCP 2        package package ...                    packages of version 2
//   WebSocket 2  one binary frame: package package ...
//
// A batch has a lane for each version that has members in the room.  For who cannot take it at once
// it is taken apart, once for each version.
//
// Owner    Batch: the room it waits for.  Outgoing: the walk; sinks may keep its bytes.
// Thread   the shard's.
// Limit    BatchLimits.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "hub/hub.h"

namespace encke::hub {

struct BatchLimits {
  std::size_t bytes_max = 0;      // one larger push still goes, alone
  std::size_t messages_max = 0;   // in one batch
  std::uint32_t renumber_at = 0;  // see Room
  std::size_t hot_bytes_per_s = 1;
  bool labels = false;  // batches may have to be taken apart
};

// What a push of a batch is by itself.
struct Label {
  std::int32_t op = 0;
  std::uint64_t seq = 0;
  std::string conflate = {};
};

// What is needed to take a batch apart; no labels: it never is.
struct Origin {
  const Rule* rule = &backlog::kPlainRule;
  std::string scope = {};  // pushes of one scope may replace each other
  std::string room = {};   // of the pushes, as Miss
  std::uint64_t epoch = 0;
  std::shared_ptr<Fate> fate = nullptr;
  std::vector<Label> labels = {};
};
Label LabelOf(const Push& push);
// Of a push that is a batch by itself: to a key (kUser) or to everybody (kOther).
Origin OriginOf(const Push& push, const Rules& rules, std::string_view type);

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
  std::vector<Label> labels;             // if BatchLimits wants them

  std::size_t bytes() const { return one.packages.size() + two.packages.size(); }
  bool Fits(const BatchLimits& limits, const Push& push) const;
  // Into the lanes of those that are here; answers the bytes added.
  std::size_t Add(const Push& push, bool ones_here, bool twos_here);
};

class Outgoing {
 public:
  Outgoing(Lane one, Lane two, Origin origin = {});
  // Of a single push.
  Outgoing(const wire::Push& push, Origin origin);
  const Rule& rule() const { return *origin_.rule; }
  // A WebSocket form is made when the first WebSocket channel asks.
  const SharedBytes& As(Format format) {
    const SharedBytes& bytes = whole_[static_cast<std::size_t>(format)];
    return bytes != nullptr ? bytes : Make(format);
  }
  // Without the first `skip` packages, for a channel that came while they gathered.
  const SharedBytes& Tail(Format format, std::uint32_t skip) {
    return skip == 0 ? As(format) : CutTail(format, skip);
  }
  // Likewise, one by one.
  std::span<const backlog::ItemPtr> Apart(Format format, std::uint32_t skip);

 private:
  struct Cut {
    std::uint32_t skip = 0;
    SharedBytes bytes;
  };
  const SharedBytes& Make(Format format);
  const SharedBytes& CutTail(Format format, std::uint32_t skip);
  backlog::ItemPtr ItemOf(const Label& label, std::string_view package) const;

  std::array<SharedBytes, kFormats> whole_;
  std::array<std::uint32_t, 2> skipped_{};  // by version: what the lane never had
  std::array<Cut, kFormats> tails_;         // the last tail asked for: late comers come in order
  Origin origin_;
  std::array<std::vector<backlog::ItemPtr>, 2> apart_;  // by version, once somebody asked
};

// Packages of the format's version as they go out.
SharedBytes Framed(Format format, std::string packages);
// A batch of one push to one channel.
Taken SendAlone(Sink& sink, Slot slot, Format format, Outgoing& push);
Miss MissOf(const Push& push, Miss::Why why);
Miss MissOf(const backlog::Item& item);

}  // namespace encke::hub

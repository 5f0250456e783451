#pragma once
// Archive: what a timeline keeps beyond Redis, read in pages of a hundred numbers.  It lies under
// the epochs in which it was said; a timeline that goes on in another epoch goes on with its
// numbers.
//
// Owner    History.
// Thread   History's own; every call may wait for NATS.
// Limit    limit entries an answer.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "store/timelines.h"

namespace encke::timeline {

// How the archive is reached; names are those of timelines.
struct ArchivePorts {
  enum class Scope : std::uint8_t { kAll, kEpoch, kBlock };
  // Serialized PushMsg with their numbers, of the hundred around seq.
  std::function<Result<std::vector<std::string>>(
      const std::string& name, std::uint64_t epoch, std::uint64_t seq)>
      read;
  // The newest of them all, of an epoch, or of the hundred around seq; kNotFound.
  std::function<Result<std::string>(
      const std::string& name, Scope scope, std::uint64_t epoch, std::uint64_t seq)>
      newest;
  // The oldest of an epoch, as the log has it: one of a race may stand behind it; kNotFound.
  std::function<Result<std::string>(const std::string& name, std::uint64_t epoch)> oldest;
  // Up to seq of the epoch, or all (seq 0).
  std::function<Status(const std::string& name, std::uint64_t epoch, std::uint64_t seq)> purge;
};

class Archive {
 public:
  static constexpr std::uint64_t kBlock = 100;

  explicit Archive(ArchivePorts ports) : ports_(std::move(ports)) {}
  explicit operator bool() const { return ports_.read != nullptr; }

  // Numbers of this epoch up to `upto` are the timeline's.
  struct Span {
    std::uint64_t epoch = 0;
    std::uint64_t upto = UINT64_MAX;
  };
  using Spans = std::vector<Span>;  // the newest epoch first
  static Spans SpansOf(const store::TimelineHead& head);

  struct Newest {
    std::uint64_t epoch = 0;
    std::uint64_t seq = 0;
  };
  // epoch 0: of any.  Zeros: there is nothing.
  Result<Newest> FindNewest(const std::string& name, std::uint64_t epoch) const;
  // Entries of from..to (both inclusive), in that direction, until there are `limit`.
  Result<std::vector<store::TimelineEntry>> Read(const std::string& name,
                                                 const Spans& spans,
                                                 std::uint64_t from,
                                                 std::uint64_t to,
                                                 std::size_t limit) const;
  // The newest number up to `newest` that was said before time_ms; 0: there is none.
  Result<std::uint64_t> FindTime(const std::string& name,
                                 const Spans& spans,
                                 std::uint64_t newest,
                                 std::int64_t time_ms) const;
  // Up to seq, or everything of that name (seq 0).  Epoch 0: the newest there is.
  Status Purge(const std::string& name, Spans spans, std::uint64_t seq) const;

 private:
  using Entries = std::vector<store::TimelineEntry>;
  Result<Entries> ReadBlock(const std::string& name, const Spans& spans, std::uint64_t seq) const;
  Result<std::int64_t> LastTime(const std::string& name,
                                const Spans& spans,
                                std::uint64_t seq) const;
  Result<std::uint64_t> FindFirst(const std::string& name, const Spans& spans) const;

  const ArchivePorts ports_;
};

}  // namespace encke::timeline

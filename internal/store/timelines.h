#pragma once
// Timelines: numbered messages of a room or of a user's inbox, the newest of them, in Redis.
//
//   tl:<name>    stream  "<seq>-0": p = payload, t = milliseconds, i = push id, r = report wanted
//   tlm:<name>   hash    e = epoch, n = newest number, b = bytes kept, r = server process,
//                        x = older epochs, "<epoch>:<last number that both share> ...",
//                        w = newest number of which a report is wanted
//   tlc:<name>   hash    inbox only: device -> "<epoch> <seq> <seen, ms>"
//   tla:<name>   zset    inbox only: what was acknowledged lately, "<seq> <ms> <id>", for retries
//   tlw          hash    b = since when these data are whole, r = server process that says so
//
// The epoch (a time of Redis' clock in microseconds) changes when numbers may have been lost:
// the meta is gone, the stream is ahead of it, or Redis is another process than at the last append
// (an append-only file written every second loses its tail).  In the last case the entries
// stay, and so do the numbers that were known: a reader of the old epoch need not read them again.
//
// A timeline in which nothing was said has no key, but an epoch all the same, which it keeps when
// something is: number 1 follows number 0.  It is made of tlw and the day (scripts/timelines.h), so
// whoever holds number 0 of it is told when the data were lost, or may have been.
//
// Owner    main; borrows Redis, and must outlive its Stop.
// Thread   any; callbacks on the Redis thread.
// Limit    per timeline TimelineLimits, on every append; kDevicesMax cursors; kRememberedMax ids; a
//          page of entries kPageBytes of payload.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/result.h"
#include "store/redis.h"

namespace encke::store {

struct TimelineLimits {
  std::size_t messages = 1000;
  Duration age{std::chrono::hours(24)};
  std::size_t bytes = 8 << 20;  // of payload; the newest entry stays even if it is larger
};

struct TimelineHead {
  std::uint64_t epoch = 0;
  std::uint64_t newest = 0;  // 0: nothing was ever said, or all that is forgotten
  std::uint64_t oldest = 0;  // that can be read; 0 = none
  std::uint64_t cursor = 0;  // of the device asked about, in this epoch
  std::string shared = {};   // with older epochs, as in x above

  // Numbers up to this one mean the same in an older epoch; none: it is another history.
  std::optional<std::uint64_t> SharedWith(std::uint64_t older) const;
  // What follows this number of that epoch is what follows it here, and nothing of it is lost.
  bool Continues(std::uint64_t from, std::uint64_t number) const {
    return from == epoch || (number == 0 && SharedWith(from) == 0U);
  }
};

struct TimelineEntry {
  std::uint64_t seq = 0;
  std::int64_t time_ms = 0;
  std::string id;
  std::string payload;
};

struct TimelinePage {
  TimelineHead head;
  std::vector<TimelineEntry> entries;  // in the order asked for
  bool more = false;                   // kept entries lie beyond the last of these
};

struct TimelineCounts {
  Counter appended, duplicates, failed;
  Counter bytes;    // of payload appended
  Counter trimmed;  // entries that left for age, length or bytes when something was appended
  Counter epochs;   // timelines begun, or begun anew
};

class Timelines {
 public:
  static constexpr std::size_t kPageBytes = 1 << 20;
  static constexpr std::size_t kPageEntries = 1000;
  static constexpr int kDevicesMax = 32;
  static constexpr int kRememberedMax = 1000;  // acknowledged lately, per inbox
  static constexpr Duration kRetryWindow{5 * 60'000};

  explicit Timelines(Redis& redis);

  struct Appended {
    std::uint64_t epoch = 0;
    std::uint64_t seq = 0;
    std::int64_t time_ms = 0;
    bool duplicate = false;  // the id was known: number and time of the first
  };
  struct Entry {
    std::string name;
    std::string id;
    std::string payload;
    TimelineLimits limits;
    bool retry = false;  // the id may be there: look for it in the last kRetryWindow
    // Its report (store/reports.h) counts the timelines it is kept in, and those who acknowledge
    // it.
    bool report = false;
  };
  void Append(Entry entry, std::function<void(Result<Appended>)> done);

  // device: empty, or that of an inbox: a new one begins before the oldest entry.
  void ReadHead(const std::string& name,
                Duration age,
                const std::string& device,
                std::function<void(Result<TimelineHead>)> done);

  struct Range {
    std::uint64_t after = 0;   // exclusive
    std::uint64_t before = 0;  // exclusive; 0 = no border
    std::size_t limit = kPageEntries;
    bool newest_first = false;
  };
  void Read(const std::string& name,
            Duration age,
            const Range& range,
            std::function<void(Result<TimelinePage>)> done);
  // Where time_ms lies: the newest number before it; 0 = everything kept is younger.
  void FindTime(const std::string& name,
                std::int64_t time_ms,
                std::function<void(Result<std::uint64_t>)> done);

  // This device has everything up to seq.  Entries that all devices of the last `age` have leave.
  // kConflict: the numbers are of another epoch.
  struct Acknowledgement {
    std::string name;
    std::string device;
    std::uint64_t epoch = 0;
    std::uint64_t seq = 0;
  };
  void Acknowledge(const Acknowledgement& ack, Duration age, std::function<void(Status)> done);

  // Forgets entries up to `seq` (0 = all); numbers go on.
  void Purge(const std::string& name, std::uint64_t seq, std::function<void(Status)> done);

  const TimelineCounts& counts() const { return counts_; }

 private:
  Redis& redis_;
  Redis::Script append_, head_, read_, find_, acknowledge_, purge_;
  TimelineCounts counts_;
};

}  // namespace encke::store

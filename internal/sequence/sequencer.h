#pragma once
// Sequencer: one partition's timelines in line: repeats go, holes are filled from the timeline.
//
// Logic appends to a timeline before it publishes, so when a number is on the log all smaller ones
// are in the timeline already, and nobody has to wait for them: what the log has not brought yet
// (two logics raced) or never will (a logic died in between) is read there, and goes out with the
// entry that showed the hole.  When the log brings it later it is a repeat.
//
// The first entry of a timeline that is seen tells no hole.  It brings along what was said just
// before it, because that may still be on its way; comets drop what they had.
//
// Owner    Reader.
// Thread   the partition's.
// Limit    timelines_max remembered, the longest silent goes first; fill_max entries and about
//          fill_bytes_max a hole, so that what leaves with one entry fits a message to a comet.

#include <cstdint>
#include <functional>
#include <list>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/result.h"
#include "base/units.h"

namespace encke::sequence {

struct SequencerOptions {
  std::size_t timelines_max = 100'000;
  std::size_t fill_max = 1000;
  std::size_t fill_bytes_max = 4 * kMega;
  std::size_t first_look = 16;         // entries before the first that is seen ...
  Duration first_look_age{1000};       // ... if they are no older than that
  Duration pause_after_failure{1000};  // the timelines are not asked again that soon
};

struct SequencerCounts {
  Counter repeats;        // entries of the log that had been delivered
  Counter gaps;           // entries that did not follow the one before
  Counter filled;         // entries read from timelines instead
  Counter looked_back;    // entries that came along with the first one seen
  Counter holes;          // numbers that could not be had
  Counter late;           // of them, or from before the first: came after all
  Counter read_failures;  // timelines that could not be asked
  Counter forgotten;      // timelines pushed out by others
};

class Sequencer {
 public:
  struct Entry {
    std::uint64_t seq = 0;
    std::int64_t time_ms = 0;
    std::string push;  // with its number
  };
  struct Ports {
    // Entries after..before (both exclusive), ascending; those of another epoch: none.  Waits.
    std::function<Result<std::vector<Entry>>(const std::string& timeline,
                                             std::uint64_t epoch,
                                             std::uint64_t after,
                                             std::uint64_t before)>
        read;
    std::function<std::int64_t()> now_ms;
  };
  struct Place {
    std::string timeline;
    std::uint64_t epoch = 0;
    std::uint64_t seq = 0;
    std::int64_t time_ms = 0;  // accepted
  };
  struct Verdict {
    bool route = true;                // false: it was delivered already
    std::vector<std::string> before;  // to be delivered first
  };

  Sequencer(const SequencerOptions& options, Ports ports, SequencerCounts& counts);
  Sequencer(const Sequencer&) = delete;
  Sequencer& operator=(const Sequencer&) = delete;

  Verdict Take(const Place& place);
  std::size_t timelines() const { return lines_.size(); }

 private:
  struct Line {
    std::uint64_t epoch = 0;
    std::uint64_t first = 0;             // from here on we know what was delivered ...
    std::uint64_t last = 0;              // ... up to here ...
    std::vector<std::uint64_t> missing;  // ... but for these
    std::list<std::string>::iterator age;
  };

  Line& Find(const std::string& timeline);
  Verdict Begin(Line& line, const Place& place);
  Verdict Late(Line& line, const Place& place);
  Verdict Fill(Line& line, const Place& place);
  std::vector<Entry> Read(const Place& place, std::uint64_t after, std::size_t bytes_max);

  const SequencerOptions options_;
  const Ports ports_;
  SequencerCounts& counts_;
  std::unordered_map<std::string, Line> lines_;
  std::list<std::string> ages_;  // longest silent first
  std::int64_t paused_until_ms_ = 0;
};

}  // namespace encke::sequence

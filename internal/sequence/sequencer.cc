#include "sequence/sequencer.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

#include "base/log.h"

namespace encke::sequence {

namespace {

constexpr std::size_t kMissingMax = 1000;  // remembered per timeline
constexpr int kAttempts = 3;               // each waits for Redis until its timeout

}  // namespace

Sequencer::Sequencer(const SequencerOptions& options, Ports ports, SequencerCounts& counts)
    : options_(options), ports_(std::move(ports)), counts_(counts) {}

Sequencer::Verdict Sequencer::Take(const Place& place) {
  Line& line = Find(place.timeline);
  if (place.epoch > line.epoch) return Begin(line, place);
  // Of an epoch that is over: nobody can say what it repeats.
  if (place.epoch < line.epoch) return {};
  if (place.seq <= line.last) return Late(line, place);
  if (place.seq == line.last + 1) {
    line.last = place.seq;
    return {};
  }
  return Fill(line, place);
}

Sequencer::Line& Sequencer::Find(const std::string& timeline) {
  const auto [found, fresh] = lines_.try_emplace(timeline);
  Line& line = found->second;
  if (!fresh) {
    ages_.splice(ages_.end(), ages_, line.age);
    return line;
  }
  line.age = ages_.insert(ages_.end(), timeline);
  if (lines_.size() > options_.timelines_max) {
    lines_.erase(ages_.front());
    ages_.pop_front();
    counts_.forgotten.Add();
  }
  return line;
}

// The first entry that is seen, of the timeline or of a new epoch.
Sequencer::Verdict Sequencer::Begin(Line& line, const Place& place) {
  line.epoch = place.epoch;
  line.first = line.last = place.seq;
  line.missing.clear();
  Verdict verdict;
  if (place.seq <= 1) return verdict;
  const std::uint64_t look = std::min<std::uint64_t>(options_.first_look, place.seq - 1);
  // All or nothing: a hole within would be called delivered.
  constexpr auto kAll = std::numeric_limits<std::size_t>::max();
  for (Entry& entry : Read(place, place.seq - 1 - look, kAll)) {
    if (entry.time_ms < place.time_ms - options_.first_look_age.count()) {
      verdict.before.clear();  // what is younger must follow without a hole
      line.first = place.seq;
      continue;
    }
    line.first = std::min(line.first, entry.seq);
    verdict.before.push_back(std::move(entry.push));
  }
  counts_.looked_back.Add(verdict.before.size());
  return verdict;
}

Sequencer::Verdict Sequencer::Late(Line& line, const Place& place) {
  const auto missing = std::find(line.missing.begin(), line.missing.end(), place.seq);
  if (missing != line.missing.end()) {
    line.missing.erase(missing);
    counts_.late.Add();
    return {};
  }
  if (place.seq < line.first) {
    counts_.late.Add();
    return {};
  }
  counts_.repeats.Add();
  return {.route = false, .before = {}};
}

Sequencer::Verdict Sequencer::Fill(Line& line, const Place& place) {
  counts_.gaps.Add();
  Verdict verdict;
  std::uint64_t expected = line.last + 1;
  const auto miss = [&](std::uint64_t upto) {
    counts_.holes.Add(upto - expected);
    for (; expected < upto && line.missing.size() < kMissingMax; ++expected)
      line.missing.push_back(expected);
    expected = upto;
  };
  for (Entry& entry : Read(place, line.last, options_.fill_bytes_max)) {
    if (entry.seq < expected || entry.seq >= place.seq) continue;
    miss(entry.seq);
    verdict.before.push_back(std::move(entry.push));
    ++expected;
  }
  miss(place.seq);
  counts_.filled.Add(verdict.before.size());
  line.last = place.seq;
  return verdict;
}

std::vector<Sequencer::Entry> Sequencer::Read(const Place& place,
                                              std::uint64_t after,
                                              std::size_t bytes_max) {
  std::vector<Entry> entries;
  std::size_t bytes = 0;
  const std::int64_t now_ms = ports_.now_ms();
  while (now_ms >= paused_until_ms_ && after + 1 < place.seq &&
         entries.size() < options_.fill_max && bytes < bytes_max) {
    auto page = ports_.read(place.timeline, place.epoch, after, place.seq);
    for (int n = 1; !page && n < kAttempts; ++n)
      page = ports_.read(place.timeline, place.epoch, after, place.seq);
    if (!page) {
      counts_.read_failures.Add();
      log::Warn("sequencer.unread timeline={} why=\"{}\"", place.timeline, page.error().text);
      paused_until_ms_ = now_ms + options_.pause_after_failure.count();
      break;
    }
    if (page->empty()) break;
    after = page->back().seq;
    for (const Entry& entry : *page)
      bytes += entry.push.size();
    std::move(page->begin(), page->end(), std::back_inserter(entries));
  }
  return entries;
}

}  // namespace encke::sequence

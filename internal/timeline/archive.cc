#include "timeline/archive.h"

#include <algorithm>
#include <sstream>
#include <utility>

#include "api/push.pb.h"

namespace encke::timeline {

Result<Archive::Newest> Archive::FindNewest(const std::string& name, std::uint64_t epoch) const {
  using Scope = ArchivePorts::Scope;
  const auto payload = ports_.newest(name, epoch == 0 ? Scope::kAll : Scope::kEpoch, epoch, 0);
  if (!payload && payload.error().code == Errc::kNotFound) return Newest();
  if (!payload) return payload.error();
  PushMsg push;
  if (!push.ParseFromString(*payload)) return Error{Errc::kInvalid, "history cannot be read"};
  // Two logics may have raced: the last one put need not have the largest number.
  Newest newest{push.epoch(), push.seq()};
  for (const std::uint64_t seq : {newest.seq, newest.seq + kBlock}) {
    const auto entries = ReadBlock(name, {{newest.epoch}}, seq);
    if (!entries) return entries.error();
    if (!entries->empty()) newest.seq = std::max(newest.seq, entries->back().seq);
  }
  return newest;
}

Archive::Spans Archive::SpansOf(const store::TimelineHead& head) {
  Spans spans{{head.epoch}};
  std::istringstream shared(head.shared);
  char colon = 0;
  for (Span older; shared >> older.epoch >> colon >> older.upto;)
    if (older.upto > 0) spans.push_back(older);  // else it was empty in that epoch
  return spans;
}

Result<Archive::Entries> Archive::ReadBlock(const std::string& name,
                                            const Spans& spans,
                                            std::uint64_t seq) const {
  Entries entries;
  for (const Span& span : spans) {
    if (seq > span.upto) continue;
    auto payloads = ports_.read(name, span.epoch, seq);
    if (!payloads) return payloads.error();
    for (std::string& payload : *payloads) {
      PushMsg push;
      if (!push.ParseFromString(payload) || push.seq() > span.upto) continue;
      entries.push_back({push.seq(), push.accepted_us() / 1000, push.id(), std::move(payload)});
    }
  }
  // Two logics may have raced, and a retry may have put one twice.
  const auto by_seq = [](const auto& a, const auto& b) { return a.seq < b.seq; };
  std::stable_sort(entries.begin(), entries.end(), by_seq);
  const auto same = [](const auto& a, const auto& b) { return a.seq == b.seq; };
  entries.erase(std::unique(entries.begin(), entries.end(), same), entries.end());
  return entries;
}

// Where the first block begins; blocks before it are gone, and each of them would cost a question.
Result<std::uint64_t> Archive::FindFirst(const std::string& name, const Spans& spans) const {
  std::uint64_t first = UINT64_MAX;
  for (const Span& span : spans) {
    const auto payload = ports_.oldest(name, span.epoch);
    if (!payload && payload.error().code == Errc::kNotFound) continue;
    if (!payload) return payload.error();
    PushMsg push;
    const std::uint64_t block = push.ParseFromString(*payload) ? push.seq() / kBlock : 0;
    first = std::min(first, block == 0 ? 0 : (block - 1) * kBlock);
  }
  return first;
}

Result<std::vector<store::TimelineEntry>> Archive::Read(const std::string& name,
                                                        const Spans& spans,
                                                        std::uint64_t from,
                                                        std::uint64_t to,
                                                        std::size_t limit) const {
  std::vector<store::TimelineEntry> found;
  const bool back = to < from;
  const auto first = FindFirst(name, spans);
  if (!first) return first.error();
  if (std::max(from, to) < *first) return found;
  from = std::max(from, *first);
  to = std::max(to, *first);
  const std::uint64_t low = std::min(from, to);
  const std::uint64_t high = std::max(from, to);
  std::size_t bytes = 0;
  for (std::uint64_t block = from / kBlock;;) {
    auto entries = ReadBlock(name, spans, block * kBlock);
    if (!entries) return entries.error();
    if (back) std::reverse(entries->begin(), entries->end());
    for (store::TimelineEntry& entry : *entries) {
      if (entry.seq < low || entry.seq > high) continue;
      if (found.size() == limit || bytes > store::Timelines::kPageBytes) return found;
      bytes += entry.payload.size();
      found.push_back(std::move(entry));
    }
    if (block == to / kBlock) return found;
    back ? --block : ++block;
  }
}

Status Archive::Purge(const std::string& name, Spans spans, std::uint64_t seq) const {
  if (seq == 0) return ports_.purge(name, 0, 0);
  if (spans[0].epoch == 0) {
    const auto newest = FindNewest(name, 0);
    if (!newest) return newest.error();
    spans[0].epoch = newest->epoch;
  }
  for (const Span& span : spans)
    if (auto purged = ports_.purge(name, span.epoch, std::min(seq, span.upto)); !purged)
      return purged;
  return Ok{};
}

// When the newest of the hundred around seq was said; 0: there is none.
Result<std::int64_t> Archive::LastTime(const std::string& name,
                                       const Spans& spans,
                                       std::uint64_t seq) const {
  store::TimelineEntry last;
  for (const Span& span : spans) {
    if (seq > span.upto) continue;
    const auto payload = ports_.newest(name, ArchivePorts::Scope::kBlock, span.epoch, seq);
    if (!payload && payload.error().code == Errc::kNotFound) continue;
    if (!payload) return payload.error();
    PushMsg push;
    if (!push.ParseFromString(*payload)) continue;
    if (push.seq() > span.upto) {  // those behind `upto` were lost: look at each
      const auto entries = ReadBlock(name, {span}, seq);
      if (!entries) return entries.error();
      if (!entries->empty() && entries->back().seq > last.seq) last = entries->back();
    } else if (push.seq() > last.seq) {
      last.seq = push.seq();
      last.time_ms = push.accepted_us() / 1000;
    }
  }
  return last.time_ms;
}

// Blocks that are gone are the oldest: they count as before any time.
Result<std::uint64_t> Archive::FindTime(const std::string& name,
                                        const Spans& spans,
                                        std::uint64_t newest,
                                        std::int64_t time_ms) const {
  std::uint64_t low = 0;  // the first block that does not end before the time
  std::uint64_t high = newest / kBlock + 1;
  while (low < high) {
    const std::uint64_t middle = (low + high) / 2;
    const auto last = LastTime(name, spans, middle * kBlock);
    if (!last) return last.error();
    *last < time_ms ? low = middle + 1 : high = middle;
  }
  if (low > newest / kBlock) return newest;
  auto entries = ReadBlock(name, spans, low * kBlock);
  if (!entries) return entries.error();
  std::uint64_t found = low == 0 ? 0 : low * kBlock - 1;
  for (const store::TimelineEntry& entry : *entries)
    if (entry.time_ms < time_ms) found = std::max(found, entry.seq);
  return found;
}

}  // namespace encke::timeline

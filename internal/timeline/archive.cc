#include "timeline/archive.h"

#include <algorithm>
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
  return Newest{push.epoch(), push.seq()};
}

Result<std::vector<store::TimelineEntry>> Archive::ReadBlock(const std::string& name,
                                                             std::uint64_t epoch,
                                                             std::uint64_t seq) const {
  auto payloads = ports_.read(name, epoch, seq);
  if (!payloads) return payloads.error();
  std::vector<store::TimelineEntry> entries;
  for (std::string& payload : *payloads) {
    PushMsg push;
    if (!push.ParseFromString(payload)) continue;
    entries.push_back({push.seq(), push.accepted_us() / 1000, push.id(), std::move(payload)});
  }
  // Two logics may have raced, and a retry may have put one twice.
  const auto by_seq = [](const auto& a, const auto& b) { return a.seq < b.seq; };
  std::stable_sort(entries.begin(), entries.end(), by_seq);
  const auto same = [](const auto& a, const auto& b) { return a.seq == b.seq; };
  entries.erase(std::unique(entries.begin(), entries.end(), same), entries.end());
  return entries;
}

// Where the first block begins; blocks before it are gone, and each of them would cost a question.
Result<std::uint64_t> Archive::FindFirst(const std::string& name, std::uint64_t epoch) const {
  const auto payload = ports_.oldest(name, epoch);
  if (!payload && payload.error().code == Errc::kNotFound) return std::uint64_t{0};
  if (!payload) return payload.error();
  PushMsg push;
  if (!push.ParseFromString(*payload)) return std::uint64_t{0};
  const std::uint64_t block = push.seq() / kBlock;
  return block == 0 ? 0 : (block - 1) * kBlock;
}

Result<std::vector<store::TimelineEntry>> Archive::Read(const std::string& name,
                                                        std::uint64_t epoch,
                                                        std::uint64_t from,
                                                        std::uint64_t to,
                                                        std::size_t limit) const {
  std::vector<store::TimelineEntry> found;
  const bool back = to < from;
  const auto first = FindFirst(name, epoch);
  if (!first) return first.error();
  if (std::max(from, to) < *first) return found;
  from = std::max(from, *first);
  to = std::max(to, *first);
  const std::uint64_t low = std::min(from, to);
  const std::uint64_t high = std::max(from, to);
  std::size_t bytes = 0;
  for (std::uint64_t block = from / kBlock;;) {
    auto entries = ReadBlock(name, epoch, block * kBlock);
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

Status Archive::Purge(const std::string& name, std::uint64_t epoch, std::uint64_t seq) const {
  if (epoch == 0 && seq > 0) {
    const auto newest = FindNewest(name, 0);
    if (!newest) return newest.error();
    epoch = newest->epoch;
  }
  return ports_.purge(name, epoch, seq);
}

// Blocks that are gone are the oldest: they count as before any time.
Result<std::uint64_t> Archive::FindTime(const std::string& name,
                                        std::uint64_t epoch,
                                        std::uint64_t newest,
                                        std::int64_t time_ms) const {
  std::uint64_t low = 0;  // the first block that does not end before the time
  std::uint64_t high = newest / kBlock + 1;
  while (low < high) {
    const std::uint64_t middle = (low + high) / 2;
    const auto last = ports_.newest(name, ArchivePorts::Scope::kBlock, epoch, middle * kBlock);
    if (!last && last.error().code != Errc::kNotFound) return last.error();
    PushMsg push;
    const bool before =
        !last || !push.ParseFromString(*last) || push.accepted_us() / 1000 < time_ms;
    before ? low = middle + 1 : high = middle;
  }
  if (low > newest / kBlock) return newest;
  auto entries = ReadBlock(name, epoch, low * kBlock);
  if (!entries) return entries.error();
  std::uint64_t found = low == 0 ? 0 : low * kBlock - 1;
  for (const store::TimelineEntry& entry : *entries)
    if (entry.time_ms < time_ms) found = std::max(found, entry.seq);
  return found;
}

}  // namespace encke::timeline

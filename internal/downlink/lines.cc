#include "downlink/lines.h"

#include <algorithm>
#include <utility>

namespace encke::downlink {

bool Seen::Take(std::uint64_t seq) {
  if (seq <= forgotten_) return false;
  if (taken_.empty() || seq > taken_.back()) {
    taken_.push_back(seq);
  } else {
    const auto at = std::lower_bound(taken_.begin(), taken_.end(), seq);
    if (*at == seq) return false;
    taken_.insert(at, seq);
  }
  if (taken_.size() > kSeenMax) {
    forgotten_ = taken_.front();
    taken_.pop_front();
  }
  return true;
}

void Seen::Clear() {
  taken_.clear();
  forgotten_ = 0;
}

bool Lines::Claim(const PushDown& in, const void* claimant) {
  return lines_.With([&](auto& lines) {
    for (const PushBatch& batch : in.batches())
      if (lines[batch.partition()].claimant != nullptr) return false;
    for (const PushBatch& batch : in.batches())
      lines[batch.partition()].claimant = claimant;
    return true;
  });
}

void Lines::Release(const void* claimant) {
  lines_.With([claimant](auto& lines) {
    for (auto& [partition, line] : lines)
      if (line.claimant == claimant) line.claimant = nullptr;
  });
}

std::optional<std::vector<bool>> Lines::Take(const PushBatch& batch) {
  return lines_.With([&](auto& lines) -> std::optional<std::vector<bool>> {
    Line& line = lines[batch.partition()];
    if (batch.fence() < line.fence) return std::nullopt;
    line.fence = batch.fence();
    if (std::exchange(line.log, batch.log()) != batch.log()) line.seen.Clear();
    std::vector<bool> fresh;
    fresh.reserve(static_cast<std::size_t>(batch.entries_size()));
    for (const LogEntry& entry : batch.entries())
      fresh.push_back(line.seen.Take(entry.seq()));
    return fresh;
  });
}

}  // namespace encke::downlink

#include "fleet/lease_table.h"

#include <algorithm>
#include <cassert>

namespace encke::fleet {
namespace {

// Evidence that a job is gone is believed for so many expiries, unless the registry says it first.
// An expired lease proves little for long: its job may have been restarted under another name.
constexpr std::int64_t kExpiredEvidence = 2;
constexpr std::int64_t kUnclaimedEvidence = 15;
// Nobody wanted it for so many renewals: whoever it was meant for is not there.
constexpr std::int64_t kUnclaimedRenewals = 2;

}  // namespace

LeaseTable::LeaseTable(int partitions,
                       const std::string& me,
                       const LeaseOptions& options,
                       LeaseStore& store,
                       Events events)
    : me_(me),
      options_(options),
      store_(store),
      events_(std::move(events)),
      rows_(static_cast<std::size_t>(partitions)) {
  assert(partitions > 0 && !me.empty());
  assert(options.renew_interval * 2 <= options.expire);
  for (int p = 0; p < partitions; ++p)
    rows_[static_cast<std::size_t>(p)].partition = p;
}

void LeaseTable::SetHolders(std::size_t live_jobs) {
  const std::size_t now = std::max<std::size_t>(live_jobs, 1);
  // The registry has noticed that many departures itself: as much evidence is used up.
  for (std::size_t left = live_jobs_ > now ? live_jobs_ - now : 0; left > 0 && !gone_.empty();
       --left) {
    gone_.erase(std::min_element(gone_.begin(), gone_.end(),
                                 [](const auto& a, const auto& b) { return a.second < b.second; }));
  }
  live_jobs_ = now;
}

void LeaseTable::Turn() {
  DropOverdue();
  if (!Renew() || !Look()) return Blind();
  CountGone();
  if (!GiveUp() || !Take()) return Blind();
  NoticeUnclaimed();
}

void LeaseTable::GiveUpAll() {
  DropOverdue();
  bool reachable = true;
  for (Row& row : rows_) {
    if (!row.held) continue;
    if (reachable) {
      reachable = Release(row);
    } else {
      Lose(row, false);
    }
  }
}

std::vector<int> LeaseTable::held() const {
  std::vector<int> all;
  for (const Row& row : rows_) {
    if (row.held) all.push_back(row.partition);
  }
  return all;
}

std::uint64_t LeaseTable::fence(int partition) const {
  const Row& row = rows_[static_cast<std::size_t>(partition)];
  return row.held ? row.fence : 0;
}

// Others may take it `expire` after they saw our last renewal, which is after we sent it.
void LeaseTable::DropOverdue() {
  const std::int64_t use_by_ms = (options_.expire - options_.renew_interval).count();
  for (Row& row : rows_) {
    if (row.held && events_.now_ms() - row.renewed_ms >= use_by_ms) Lose(row, false);
  }
}

bool LeaseTable::Renew() {
  for (Row& row : rows_) {
    const bool due = events_.now_ms() - row.renewed_ms >= options_.renew_interval.count();
    if (row.held && (due || row.asked_ms >= 0) && !RenewOne(row)) return false;
  }
  return true;
}

// False: the store is out of reach.
bool LeaseTable::RenewOne(Row& row) {
  const std::int64_t sent_ms = events_.now_ms();
  const auto written = store_.Write(row.partition, me_, row.revision);
  if (written) {
    row.revision = *written;
    row.renewed_ms = sent_ms;
    row.asked_ms = -1;
    return true;
  }
  if (written.error().code != Errc::kConflict) {
    if (row.asked_ms < 0) row.asked_ms = sent_ms;
    return false;
  }
  // Moved by somebody: by ourselves, when an earlier renewal was written but not answered.
  const auto entry = store_.Read(row.partition);
  if (!entry) {
    if (row.asked_ms < 0) row.asked_ms = sent_ms;
    return false;
  }
  if (entry->holder == me_) {
    row.revision = entry->revision;
    row.renewed_ms = std::max(row.renewed_ms, row.asked_ms < 0 ? row.renewed_ms : row.asked_ms);
    row.asked_ms = -1;
    return true;
  }
  Lose(row, false);
  Saw(row, *entry);
  return true;
}

bool LeaseTable::Look() {
  for (Row& row : rows_) {
    if (row.held) continue;
    const auto entry = store_.Read(row.partition);
    if (!entry) return false;
    Saw(row, *entry);
  }
  return true;
}

void LeaseTable::Saw(Row& row, const LeaseStore::Entry& entry) {
  if (row.seen && row.revision == entry.revision) return;
  row.holder = entry.holder;
  row.revision = entry.revision;
  row.since_ms = events_.now_ms();
  row.seen = true;
  row.open_since_ms = -1;
}

// Whoever could not renew because nobody could reach the store gets the whole time again.
void LeaseTable::Blind() {
  for (Row& row : rows_) {
    row.since_ms = events_.now_ms();
    row.open_since_ms = -1;
  }
}

void LeaseTable::CountGone() {
  const std::int64_t now_ms = events_.now_ms();
  for (const Row& row : rows_) {
    if (Expired(row)) gone_[row.holder] = now_ms + kExpiredEvidence * options_.expire.count();
  }
  const auto others = Others();
  std::erase_if(gone_, [&](const auto& evidence) {
    return others.contains(evidence.first) || now_ms > evidence.second;
  });
}

bool LeaseTable::GiveUp() {
  std::size_t surplus = Surplus();
  for (auto row = rows_.rbegin(); row != rows_.rend() && surplus > 0; ++row) {
    if (!row->held) continue;
    --surplus;
    if (!Release(*row)) return false;
  }
  return true;
}

// Jobs begin at different places, so that they do not all run for the same partition.
bool LeaseTable::Take() {
  const std::size_t start = std::hash<std::string>()(me_) % rows_.size();
  for (std::size_t i = 0; i < rows_.size() && Wanted() > 0; ++i) {
    Row& row = rows_[(start + i) % rows_.size()];
    if (!row.held && Open(row) && !TakeOne(row)) return false;
  }
  return true;
}

bool LeaseTable::TakeOne(Row& row) {
  const std::int64_t sent_ms = events_.now_ms();
  const auto written = store_.Write(row.partition, me_, row.revision);
  if (!written) {
    if (written.error().code != Errc::kConflict) return false;
    row.seen = false;  // somebody was faster; the next look tells who
    return true;
  }
  row.holder = me_;
  row.revision = row.fence = *written;
  row.renewed_ms = sent_ms;
  row.asked_ms = -1;
  row.seen = true;
  row.open_since_ms = -1;
  row.held = true;
  if (!events_.gained(row.partition, row.fence)) row.held = false;
  return true;
}

bool LeaseTable::Release(Row& row) {
  Lose(row, true);
  const auto written = store_.Write(row.partition, "", row.revision);
  if (written) Saw(row, {"", *written});
  return written || written.error().code == Errc::kConflict;
}

void LeaseTable::Lose(Row& row, bool ours) {
  row.held = false;
  row.fence = 0;
  row.asked_ms = -1;
  row.since_ms = events_.now_ms();
  row.open_since_ms = -1;
  events_.lost(row.partition, ours);
}

// What is open and stays open was meant for somebody who is not there.  One at a time: the shares
// grow until it is wanted.
void LeaseTable::NoticeUnclaimed() {
  const std::int64_t now_ms = events_.now_ms();
  const std::int64_t patience_ms = kUnclaimedRenewals * options_.renew_interval.count();
  bool unclaimed = false;
  for (Row& row : rows_) {
    if (row.held || !Open(row)) {
      row.open_since_ms = -1;
      continue;
    }
    if (row.open_since_ms < 0) row.open_since_ms = now_ms;
    if (now_ms - row.open_since_ms >= patience_ms) unclaimed = true;
  }
  if (!unclaimed || FairShare().jobs <= Others().size() + 1) return;
  gone_.emplace("nobody " + std::to_string(++nobodies_),
                now_ms + kUnclaimedEvidence * options_.expire.count());
}

bool LeaseTable::Expired(const Row& row) const {
  return !row.held && row.seen && !row.holder.empty() && row.holder != me_ &&
         events_.now_ms() - row.since_ms >= options_.expire.count();
}

bool LeaseTable::Open(const Row& row) const {
  return !row.held && row.seen && (row.holder.empty() || row.holder == me_ || Expired(row));
}

std::size_t LeaseTable::held_count() const {
  return static_cast<std::size_t>(
      std::count_if(rows_.begin(), rows_.end(), [](const Row& row) { return row.held; }));
}

std::map<std::string, std::size_t> LeaseTable::Others() const {
  std::map<std::string, std::size_t> others;
  for (const Row& row : rows_) {
    if (!row.held && row.seen && !row.holder.empty() && row.holder != me_ && !Expired(row)) {
      ++others[row.holder];
    }
  }
  return others;
}

LeaseTable::Share LeaseTable::FairShare() const {
  const std::size_t believed = live_jobs_ > gone_.size() ? live_jobs_ - gone_.size() : 1;
  const std::size_t jobs = std::max(believed, Others().size() + 1);
  return {rows_.size() / jobs, rows_.size() % jobs, jobs};
}

// More than the share; or one of those with one more, when there are too many of them (then
// somebody else has too few): the first by name keep it.
std::size_t LeaseTable::Surplus() const {
  const Share share = FairShare();
  const std::size_t held = held_count();
  const std::size_t most = share.least + (share.with_extra > 0 ? 1 : 0);
  if (held > most) return held - most;
  if (held <= share.least) return 0;
  std::size_t before_me = 0;
  for (const auto& [name, count] : Others()) {
    if (count > share.least && name < me_) ++before_me;
  }
  return before_me >= share.with_extra ? 1 : 0;
}

// Up to the share; one more when there is something left after everybody else got theirs.
std::size_t LeaseTable::Wanted() const {
  const Share share = FairShare();
  const std::size_t held = held_count();
  if (held < share.least) return share.least - held;
  if (held > share.least || share.with_extra == 0) return 0;
  const auto others = Others();
  std::size_t with_extra = 0;
  std::size_t needed = (share.jobs - 1 - others.size()) * share.least;
  for (const auto& [name, count] : others) {
    if (count > share.least) ++with_extra;
    if (count < share.least) needed += share.least - count;
  }
  const auto open = static_cast<std::size_t>(
      std::count_if(rows_.begin(), rows_.end(), [this](const Row& row) { return Open(row); }));
  return with_extra < share.with_extra && open > needed ? 1 : 0;
}

}  // namespace encke::fleet

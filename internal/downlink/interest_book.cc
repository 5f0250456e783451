#include "downlink/interest_book.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace encke::downlink {
namespace {

constexpr std::size_t kNameOverhead = 8;       // of a name in a message
constexpr std::size_t kUnconfirmedMax = 1024;  // fills remembered per job, then merged
constexpr std::int64_t kConnected = std::numeric_limits<std::int64_t>::max();

}  // namespace

RoomMap::iterator Book::Declare(std::string_view name, Calls* calls) {
  const auto found = by_name_.find(name);
  if (found != by_name_.end()) {
    if (!found->second->second.left) return found->second;
    found->second->second.left = false;
    --left_count_;
    found->second = MoveToEnd(found->second);
    KickJobs(calls);
    return found->second;
  }
  const auto at = rooms_.emplace_hint(rooms_.end(), ++version_, Room{.name = std::string(name)});
  by_name_.emplace(at->second.name, at);
  KickJobs(calls);
  return at;
}

// The room itself stays where it is in memory, so that by_name_'s key stays valid.
RoomMap::iterator Book::MoveToEnd(RoomMap::iterator at) {
  auto node = rooms_.extract(at);
  node.key() = ++version_;
  return rooms_.insert(rooms_.end(), std::move(node));
}

void Book::KeepUntil(RoomMap::iterator at, std::int64_t until) {
  Room& room = at->second;
  room.keep_until = std::max(room.keep_until, until);
  if (std::exchange(room.lingers, true)) return;
  lingers_.push_back({room.keep_until, at->first});
}

void Book::Present(std::string_view name, bool present, std::int64_t now, Calls* calls) {
  const auto at = Declare(name, calls);
  if (present) {
    ++at->second.shards;
    return;
  }
  assert(at->second.shards > 0);
  if (--at->second.shards == 0) KeepUntil(at, now + options_.linger.count());
}

void Book::Wait(RoomMap::iterator at, Waiter waiter) {
  next_deadline_ = std::min(next_deadline_, waiter.deadline);
  waiters_.emplace(at->first, std::move(waiter));
}

void Book::EndLingers(std::int64_t now, Calls* calls) {
  while (!lingers_.empty() && lingers_.front().until <= now) {
    const auto at = rooms_.find(lingers_.front().version);
    lingers_.pop_front();
    assert(at != rooms_.end());  // it cannot go before its linger is over
    at->second.lingers = false;
    if (at->second.shards > 0) continue;
    if (at->second.keep_until > now) {
      KeepUntil(at, at->second.keep_until);
    } else {
      Leave(at, calls);
    }
  }
}

void Book::Leave(RoomMap::iterator at, Calls* calls) {
  if (jobs_.empty()) return Erase(at);
  at->second.left = true;
  at->second.keep_until = 0;
  ++left_count_;
  by_name_.find(at->second.name)->second = at = MoveToEnd(at);
  left_.push_back(at->first);
  ForgetLeft();
  KickJobs(calls);
}

void Book::Erase(RoomMap::iterator at) {
  by_name_.erase(at->second.name);
  rooms_.erase(at);
}

void Book::ForgetLeft() {
  Version told_all = std::numeric_limits<Version>::max();
  for (const auto& [id, job] : jobs_)
    told_all = std::min(told_all, job.told);
  const std::size_t max = std::max(options_.left_rooms_max, rooms());
  while (!left_.empty() && (left_.front() <= told_all || left_.size() > max)) {
    const auto at = rooms_.find(left_.front());
    if (at != rooms_.end() && at->second.left) {
      if (left_.front() > told_all) counts_.forgotten.Add();
      Erase(at);
      --left_count_;
    }
    left_.pop_front();
  }
}

void Book::EndWaits(std::int64_t now, Calls* calls) {
  if (now < next_deadline_) return;
  next_deadline_ = std::numeric_limits<std::int64_t>::max();
  for (auto at = waiters_.begin(); at != waiters_.end();) {
    if (at->second.deadline > now) {
      next_deadline_ = std::min(next_deadline_, at->second.deadline);
      ++at;
      continue;
    }
    calls->done.push_back(std::move(at->second.done));
    at = waiters_.erase(at);
  }
  calls->in_time = false;
  counts_.waits_timed_out.Add(calls->done.size());
}

void Book::KickJobs(Calls* calls) {
  for (auto& [id, job] : jobs_)
    if (!std::exchange(job.kicked, true)) calls->kicks.push_back(job.kick);
}

Interest::JobId Book::AddJob(std::function<void()> kick) {
  Job& job = jobs_[++last_job_];
  job.kick = std::move(kick);
  job.since = version_;
  known_ = 0;
  return last_job_;
}

void Book::Expect(const std::vector<std::string>& jobs, Calls* calls) {
  expected_ = {jobs.begin(), jobs.end()};
  Recognize(calls);
}

std::size_t Book::missing() const {
  return static_cast<std::size_t>(
      std::count_if(expected_.begin(), expected_.end(),
                    [this](const std::string& name) { return !met_.contains(name); }));
}

void Book::Named(Interest::JobId id, const std::string& name, Calls* calls) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return;
  found->second.name = name;
  met_[name] = kConnected;
  Recognize(calls);
}

void Book::EndGraces(std::int64_t now, Calls* calls) {
  const auto ended = [now](const auto& met) { return met.second <= now; };
  if (std::erase_if(met_, ended) > 0) Recognize(calls);
}

void Book::RemoveJob(Interest::JobId id, std::int64_t now, Calls* calls) {
  const auto gone = jobs_.extract(id);
  if (gone.empty()) return;
  const std::string& name = gone.mapped().name;
  const bool still = std::any_of(jobs_.begin(), jobs_.end(),
                                 [&](const auto& job) { return job.second.name == name; });
  if (!name.empty() && !still) met_[name] = now + options_.grace.count();
  ForgetLeft();
  Recognize(calls);
}

void Book::Confirmed(Interest::JobId id, std::uint64_t number, Calls* calls) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return;
  Job& job = found->second;
  while (!job.unconfirmed.empty() && job.unconfirmed.front().number <= number) {
    job.confirmed = job.unconfirmed.front().upto;
    job.unconfirmed.pop_front();
  }
  Recognize(calls);
}

void Book::Recognize(Calls* calls) {
  known_ = std::numeric_limits<Version>::max();
  for (const auto& [id, job] : jobs_)
    known_ = std::min(known_, job.confirmed);
  if (missing() > 0) known_ = 0;
  const auto end = waiters_.upper_bound(known_);
  for (auto at = waiters_.begin(); at != end; ++at)
    calls->done.push_back(std::move(at->second.done));
  waiters_.erase(waiters_.begin(), end);
}

bool Book::Fill(Interest::JobId id, ::encke::Interest* out) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return false;
  Job& job = found->second;
  job.kicked = false;
  if (!job.fresh && job.told == version_) return false;
  const bool all = Tell(&job, out);
  out->set_number(++job.number);
  out->set_snapshot(std::exchange(job.fresh, false));
  out->set_more(job.gathering && !all);
  job.gathering = job.gathering && !all;
  if (job.unconfirmed.size() < kUnconfirmedMax) {
    job.unconfirmed.push_back({job.number, job.told});
  } else {
    job.unconfirmed.back() = {job.number, job.told};
  }
  ForgetLeft();
  return true;
}

bool Book::Tell(Job* job, ::encke::Interest* out) {
  std::size_t bytes = 0;
  auto at = rooms_.upper_bound(job->told);
  for (; at != rooms_.end() && bytes < options_.message_bytes_max; ++at) {
    job->told = at->first;
    if (at->second.left && at->first <= job->since) continue;
    bytes += at->second.name.size() + kNameOverhead;
    *(at->second.left ? out->add_left() : out->add_joined()) = at->second.name;
  }
  if (at != rooms_.end()) return false;
  job->told = version_;
  return true;
}

}  // namespace encke::downlink

#include "downlink/interest.h"

#include <algorithm>
#include <cassert>
#include <deque>
#include <limits>
#include <map>
#include <unordered_map>
#include <utility>

#include "base/threads.h"

namespace encke::downlink {
namespace {

// Where a change stands in the order of all changes.
using Version = std::uint64_t;

constexpr std::size_t kNameOverhead = 8;       // of a name in a message
constexpr std::size_t kUnconfirmedMax = 1024;  // fills remembered per job, then merged

struct Room {
  std::string name;
  std::uint32_t shards = 0;  // that have a member of it
  bool left = false;         // told to jobs as left; kept until they know
  bool lingers = false;      // stands in the list of lingers
  std::int64_t keep_until = 0;
};

struct Job {
  struct Filled {
    std::uint64_t number;
    Version upto;
  };

  std::function<void()> kick;
  bool kicked = false;  // since its last Fill
  bool fresh = true;    // wants the snapshot first
  Version since = 0;    // connected then: rooms left before do not concern it
  Version told = 0;
  Version confirmed = 0;
  std::uint64_t number = 0;
  std::deque<Filled> unconfirmed;
};

struct Waiter {
  std::int64_t deadline;
  std::function<void(bool)> done;
};

struct Linger {
  std::int64_t until;
  Version version;
};

// What to call when the lock is given back.
struct Calls {
  std::vector<std::function<void()>> kicks;
  std::vector<std::function<void(bool)>> done;
  bool in_time = true;
  void Run() const {
    for (const auto& kick : kicks)
      kick();
    for (const auto& call : done)
      call(in_time);
  }
};

using RoomMap = std::map<Version, Room>;

class Book {
 public:
  explicit Book(const InterestOptions& options, InterestCounts& counts)
      : options_(options), counts_(counts) {}

  RoomMap::iterator Declare(std::string_view name, Calls* calls);
  void KeepUntil(RoomMap::iterator at, std::int64_t until);
  void Present(std::string_view name, bool present, std::int64_t now, Calls* calls);
  bool Known(RoomMap::iterator at) const { return at->first <= known_; }
  void Wait(RoomMap::iterator at, Waiter waiter);
  void EndLingers(std::int64_t now, Calls* calls);
  void EndWaits(std::int64_t now, Calls* calls);

  Interest::JobId AddJob(std::function<void()> kick);
  void RemoveJob(Interest::JobId id, Calls* calls);
  bool Fill(Interest::JobId id, ::encke::Interest* out);
  void Confirmed(Interest::JobId id, std::uint64_t number, Calls* calls);
  std::size_t rooms() const { return by_name_.size() - left_count_; }

 private:
  RoomMap::iterator MoveToEnd(RoomMap::iterator at);
  void Leave(RoomMap::iterator at, Calls* calls);
  void Erase(RoomMap::iterator at);
  void ForgetLeft();
  void KickJobs(Calls* calls);
  void Recognize(Calls* calls);
  void Tell(Job* job, ::encke::Interest* out);

  const InterestOptions& options_;
  InterestCounts& counts_;
  RoomMap rooms_;  // in the order of their last change
  std::unordered_map<std::string_view, RoomMap::iterator> by_name_;  // the key lives in the room
  Version version_ = 0;
  // Every job confirmed up to here; without a job everything is known.
  Version known_ = std::numeric_limits<Version>::max();
  std::deque<Version> left_;  // some may have been joined again meanwhile
  std::size_t left_count_ = 0;
  std::deque<Linger> lingers_;
  std::multimap<Version, Waiter> waiters_;
  std::int64_t next_deadline_ = std::numeric_limits<std::int64_t>::max();
  std::map<Interest::JobId, Job> jobs_;
  Interest::JobId last_job_ = 0;
};

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

void Book::RemoveJob(Interest::JobId id, Calls* calls) {
  jobs_.erase(id);
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
  Tell(&job, out);
  out->set_number(++job.number);
  out->set_snapshot(std::exchange(job.fresh, false));
  if (job.unconfirmed.size() < kUnconfirmedMax) {
    job.unconfirmed.push_back({job.number, job.told});
  } else {
    job.unconfirmed.back() = {job.number, job.told};
  }
  ForgetLeft();
  return true;
}

void Book::Tell(Job* job, ::encke::Interest* out) {
  std::size_t bytes = 0;
  auto at = rooms_.upper_bound(job->told);
  for (; at != rooms_.end() && bytes < options_.message_bytes_max; ++at) {
    job->told = at->first;
    if (at->second.left && at->first <= job->since) continue;
    bytes += at->second.name.size() + kNameOverhead;
    *(at->second.left ? out->add_left() : out->add_joined()) = at->second.name;
  }
  if (at == rooms_.end()) job->told = version_;
}

}  // namespace

class Interest::Impl {
 public:
  explicit Impl(const InterestOptions& given) : options(given), book(Book(options, counts)) {}

  const InterestOptions options;
  InterestCounts counts;
  Guarded<Book> book;
};

Interest::Interest(const InterestOptions& options) : impl_(std::make_unique<Impl>(options)) {}
Interest::~Interest() = default;

void Interest::Present(std::string_view room, bool present) {
  Calls calls;
  const std::int64_t now = impl_->options.now_ms();
  impl_->book.With([&](Book& book) { book.Present(room, present, now, &calls); });
  calls.Run();
}

void Interest::WhenKnown(std::string_view room, std::function<void(bool)> done) {
  Calls calls;
  const std::int64_t now = impl_->options.now_ms();
  const bool known = impl_->book.With([&](Book& book) {
    const auto at = book.Declare(room, &calls);
    book.KeepUntil(at, now + impl_->options.linger.count());
    if (book.Known(at)) return true;
    impl_->counts.waits.Add();
    book.Wait(at, {.deadline = now + impl_->options.join_wait.count(), .done = std::move(done)});
    return false;
  });
  calls.Run();
  if (known) done(true);
}

void Interest::Tick(std::int64_t now_ms) {
  Calls late;
  impl_->book.With([&](Book& book) {
    book.EndWaits(now_ms, &late);
    book.EndLingers(now_ms, &late);
  });
  late.Run();
}

Interest::JobId Interest::AddJob(std::function<void()> kick) {
  return impl_->book.With([&](Book& book) { return book.AddJob(std::move(kick)); });
}

void Interest::RemoveJob(JobId job) {
  Calls calls;
  impl_->book.With([&](Book& book) { book.RemoveJob(job, &calls); });
  calls.Run();
}

bool Interest::Fill(JobId job, ::encke::Interest* out) {
  return impl_->book.With([&](Book& book) { return book.Fill(job, out); });
}

void Interest::Confirmed(JobId job, std::uint64_t number) {
  Calls calls;
  impl_->book.With([&](Book& book) { book.Confirmed(job, number, &calls); });
  calls.Run();
}

std::size_t Interest::rooms() const {
  return impl_->book.With([](const Book& book) { return book.rooms(); });
}

const InterestCounts& Interest::counts() const { return impl_->counts; }

}  // namespace encke::downlink

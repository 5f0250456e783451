#include "http/pusher.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "client/addresses.h"
#include "clock.h"

namespace encke::bench {
namespace {

constexpr std::int64_t kNever = INT64_MAX;
// A seldom push is ready before its time, and waited for in a loop: our own waking up and building
// of a request, 0.1 to 0.2 ms when nothing else keeps this machine warm, is no latency of a server.
constexpr double kSeldom = 300;  // pushes per second, at most
constexpr std::int64_t kEarlyUs = 300;

void SpinUntil(std::int64_t us) {
  while (NowUs() < us) {
  }
}

}  // namespace

Pusher::Pusher(const Options& options) : options_(options), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  prctl(PR_SET_TIMERSLACK, 1UL);  // ns: planned times are met
  const auto doors = SplitAtCommas(options.http);
  for (int c = 0; c < options.http_connections; ++c) {
    const auto tag = static_cast<std::size_t>(c);
    sockaddr_in to{};
    ParseAddress(doors[tag % doors.size()], &to);
    callers_.push_back(std::make_unique<Caller>(
        epoll_, tag, to,
        [this, tag](const Sent& sent, bool accepted) { Settle(tag, sent, accepted); }));
  }
}

Pusher::~Pusher() {
  callers_.clear();
  close(epoll_);
}

PushResult Pusher::Run(const PushJob& job) {
  PushResult result;
  job_ = job;
  layout_ = Layout(job.groups, static_cast<std::uint32_t>(callers_.size()));
  result.offers.groups = layout_.groups;
  result.offers.streams_per_group = layout_.per_group;
  result_ = &result;
  for (const auto& caller : callers_)
    caller->Dial();
  early_us_ = job.rate > 0 && job.rate <= kSeldom ? kEarlyUs : 0;
  start_us_ = NowUs() + 1000;
  end_us_ = start_us_ + static_cast<std::int64_t>(job.seconds * 1e6);
  MakePlans();
  const auto patience_us = static_cast<std::int64_t>(options_.http_timeout * 1e6);
  while (true) {
    bool done = true;
    for (std::size_t c = 0; c < callers_.size(); ++c) {
      const bool sent = SendDue(c);
      const std::int64_t oldest = callers_[c]->oldest_us();
      if (oldest > 0 && NowUs() - oldest > patience_us) callers_[c]->Hang();
      done = done && sent && callers_[c]->in_flight() == 0;
    }
    if (done) break;
    Wait(NextDueUs());
  }
  result.seconds = static_cast<double>(NowUs() - start_us_) / 1e6;
  result_ = nullptr;
  return result;
}

// Every caller takes the share of its streams, so that every stream has the same rate.
void Pusher::MakePlans() {
  plans_.assign(callers_.size(), Plan());
  const auto total = job_.count > 0
                         ? job_.count
                         : static_cast<std::uint64_t>(std::llround(job_.rate * job_.seconds));
  std::uint64_t given = 0;
  std::uint64_t streams = 0;
  for (std::size_t c = 0; c < plans_.size(); ++c) {
    const auto mine = layout_.StreamsOf(static_cast<std::uint32_t>(c));
    streams += mine;
    plans_[c].total = total * streams / layout_.streams() - given;
    given += plans_[c].total;
    if (job_.rate == 0) {
      if (job_.count == 0) plans_[c].total = UINT64_MAX;
      continue;
    }
    const double tick_us = 1e6 * job_.batch / job_.rate;  // over all callers
    plans_[c].interval_us = tick_us * layout_.streams() / mine;
    plans_[c].offset_us = tick_us * static_cast<double>(c);
  }
}

std::int64_t Pusher::PlannedUs(const Plan& plan) const {
  if (plan.next >= plan.total) return kNever;
  if (job_.rate == 0) return start_us_;
  const std::uint64_t tick = plan.next / static_cast<std::uint64_t>(job_.batch);
  const double after_us = plan.offset_us + static_cast<double>(tick) * plan.interval_us;
  return start_us_ + static_cast<std::int64_t>(after_us);
}

bool Pusher::HasRoom(std::size_t c) const {
  return callers_[c]->in_flight() < static_cast<std::size_t>(options_.pipeline);
}

bool Pusher::SendDue(std::size_t c) {
  Plan& plan = plans_[c];
  std::int64_t first = kNever;
  while (plan.next < plan.total) {
    const std::int64_t now = NowUs();
    if (job_.rate == 0 && job_.count == 0 && now >= end_us_) plan.total = plan.next;
    const std::int64_t planned = PlannedUs(plan);
    if (planned > now + early_us_ || !HasRoom(c)) break;
    SendOne(c, job_.rate == 0 ? now : planned);
    first = std::min(first, planned);
  }
  if (first != kNever && job_.rate > 0) {
    SpinUntil(first);
    result_->late_us_max = std::max(result_->late_us_max, NowUs() - first);
  }
  callers_[c]->Flush();
  return plan.next >= plan.total;
}

Stamp Pusher::StampOf(std::size_t c, std::uint64_t m, std::int64_t planned) const {
  // A batch request goes round the caller's streams; pushes of their own stay with one for a tick.
  const int in_a_row = job_.route == "batch" ? 1 : job_.batch;
  const Place place =
      PlaceOf(layout_, static_cast<std::uint32_t>(c), m, static_cast<std::uint32_t>(in_a_row));
  Stamp stamp;
  stamp.run = job_.run;
  stamp.stream = place.stream;
  stamp.sequence = place.sequence;
  stamp.planned_us = planned;
  return stamp;
}

// One request.
void Pusher::SendOne(std::size_t c, std::int64_t planned) {
  Plan& plan = plans_[c];
  Sent sent;
  sent.first = plan.next;
  sent.planned_us = planned;
  sent.sent_us = NowUs();
  if (job_.route == "batch") {
    const auto left =
        std::min<std::uint64_t>(plan.total - plan.next, static_cast<std::uint64_t>(job_.batch));
    sent.count = static_cast<std::uint32_t>(left);
  }
  plan.next += sent.count;
  if (!callers_[c]->Dial()) return Settle(c, sent, false);
  std::vector<AimedStamp> pushes;
  for (std::uint64_t m = sent.first; m < plan.next; ++m) {
    const Stamp stamp = StampOf(c, m, planned);
    pushes.push_back({layout_.GroupOf(stamp.stream), stamp});
  }
  if (job_.route == "batch") {
    AppendBatchRequest(options_, pushes, &callers_[c]->out());
  } else {
    AppendRequest(options_, job_.route, pushes[0].group, pushes[0].stamp, &callers_[c]->out());
  }
  callers_[c]->Queue(sent);
}

void Pusher::Settle(std::size_t c, const Sent& sent, bool accepted) {
  if (result_ == nullptr) return;
  for (std::uint64_t m = sent.first; m < sent.first + sent.count; ++m) {
    const Stamp stamp = StampOf(c, m, sent.planned_us);
    result_->offers.Note(stamp.stream, stamp.sequence, accepted ? Fate::kAccepted : Fate::kRefused);
  }
  // A dial that fails does so before the time of a push that was made ready early.
  const std::int64_t took_us = std::max<std::int64_t>(0, NowUs() - sent.planned_us);
  result_->answer_us.Add(static_cast<std::uint64_t>(took_us));
}

std::int64_t Pusher::NextDueUs() const {
  std::int64_t next = NowUs() + 100'000;
  for (std::size_t c = 0; c < plans_.size(); ++c) {
    if (HasRoom(c)) next = std::min(next, PlannedUs(plans_[c]) - early_us_);
  }
  return next;
}

void Pusher::Wait(std::int64_t until_us) {
  std::array<epoll_event, 64> events{};
  const std::int64_t left = std::max<std::int64_t>(0, until_us - NowUs());
  const timespec timeout{left / 1'000'000, left % 1'000'000 * 1000};
  const int n =
      epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()), &timeout, nullptr);
  for (int k = 0; k < n; ++k) {
    const auto& event = events[static_cast<std::size_t>(k)];
    callers_[event.data.u64]->OnEvent(event.events);
  }
}

}  // namespace encke::bench

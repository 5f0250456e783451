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

}  // namespace

Pusher::Pusher(const Options& options) : options_(options), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  prctl(PR_SET_TIMERSLACK, 1UL);  // ns: planned times are met
  const auto doors = SplitAtCommas(options.http);
  for (int c = 0; c < options.http_connections; ++c) {
    const auto tag = static_cast<std::size_t>(c);
    sockaddr_in to{};
    ParseAddress(doors[tag % doors.size()], &to);
    callers_.push_back(
        std::make_unique<Caller>(epoll_, tag, to, [this](const Sent& sent, bool accepted) {
          if (result_ == nullptr) return;
          result_->offers.Note(sent.stream, sent.sequence,
                               accepted ? Fate::kAccepted : Fate::kRefused);
          result_->answer_us.Add(static_cast<std::uint64_t>(NowUs() - sent.planned_us));
        }));
  }
}

Pusher::~Pusher() {
  callers_.clear();
  close(epoll_);
}

PushResult Pusher::Run(const PushJob& job) {
  PushResult result;
  const Layout layout(job.groups, static_cast<std::uint32_t>(callers_.size()));
  result.offers.groups = layout.groups;
  result.offers.streams_per_group = layout.per_group;
  result_ = &result;
  for (const auto& caller : callers_)
    caller->Dial();
  start_us_ = NowUs() + 1000;
  end_us_ = start_us_ + static_cast<std::int64_t>(job.seconds * 1e6);
  MakePlans(job, layout);
  const auto patience_us = static_cast<std::int64_t>(options_.http_timeout * 1e6);
  while (true) {
    bool done = true;
    for (std::size_t c = 0; c < callers_.size(); ++c) {
      const bool sent = SendDue(job, layout, c);
      const std::int64_t oldest = callers_[c]->oldest_us();
      if (oldest > 0 && NowUs() - oldest > patience_us) callers_[c]->Hang();
      done = done && sent && callers_[c]->in_flight() == 0;
    }
    if (done) break;
    Wait(NextDueUs(job));
  }
  result.seconds = static_cast<double>(NowUs() - start_us_) / 1e6;
  result_ = nullptr;
  return result;
}

// Every caller takes the share of its streams, so that every stream has the same rate.
void Pusher::MakePlans(const PushJob& job, const Layout& layout) {
  plans_.assign(callers_.size(), Plan());
  const auto total =
      job.count > 0 ? job.count : static_cast<std::uint64_t>(std::llround(job.rate * job.seconds));
  std::uint64_t given = 0;
  std::uint64_t streams = 0;
  for (std::size_t c = 0; c < plans_.size(); ++c) {
    const auto mine = layout.StreamsOf(static_cast<std::uint32_t>(c));
    streams += mine;
    plans_[c].total = total * streams / layout.streams() - given;
    given += plans_[c].total;
    if (job.rate == 0) {
      if (job.count == 0) plans_[c].total = UINT64_MAX;
      continue;
    }
    const double tick_us = 1e6 * job.batch / job.rate;  // over all callers
    plans_[c].interval_us = tick_us * layout.streams() / mine;
    plans_[c].offset_us = tick_us * static_cast<double>(c);
  }
}

std::int64_t Pusher::PlannedUs(const PushJob& job, const Plan& plan) const {
  if (plan.next >= plan.total) return kNever;
  if (job.rate == 0) return start_us_;
  const auto tick = static_cast<double>(plan.next / static_cast<std::uint64_t>(job.batch));
  return start_us_ + static_cast<std::int64_t>(plan.offset_us + tick * plan.interval_us);
}

bool Pusher::HasRoom(std::size_t c) const {
  return callers_[c]->in_flight() < static_cast<std::size_t>(options_.pipeline);
}

bool Pusher::SendDue(const PushJob& job, const Layout& layout, std::size_t c) {
  Plan& plan = plans_[c];
  while (plan.next < plan.total) {
    const std::int64_t now = NowUs();
    if (job.rate == 0 && job.count == 0 && now >= end_us_) plan.total = plan.next;
    const std::int64_t planned = PlannedUs(job, plan);
    if (planned > now || !HasRoom(c)) break;
    SendOne(job, layout, c, job.rate == 0 ? now : planned);
  }
  callers_[c]->Flush();
  return plan.next >= plan.total;
}

void Pusher::SendOne(const PushJob& job,
                     const Layout& layout,
                     std::size_t c,
                     std::int64_t planned) {
  Plan& plan = plans_[c];
  const Place place = PlaceOf(layout, static_cast<std::uint32_t>(c), plan.next,
                              static_cast<std::uint32_t>(job.batch));
  ++plan.next;
  const std::int64_t now = NowUs();
  result_->late_us_max = std::max(result_->late_us_max, now - planned);
  Stamp stamp;
  stamp.run = job.run;
  stamp.stream = place.stream;
  stamp.sequence = place.sequence;
  stamp.planned_us = planned;
  if (!callers_[c]->Dial()) {
    result_->offers.Note(place.stream, place.sequence, Fate::kRefused);
    return;
  }
  AppendRequest(options_, job.route, layout.GroupOf(place.stream), stamp, &callers_[c]->out());
  callers_[c]->Queue({place.stream, place.sequence, planned, now});
}

std::int64_t Pusher::NextDueUs(const PushJob& job) const {
  std::int64_t next = NowUs() + 100'000;
  for (std::size_t c = 0; c < plans_.size(); ++c) {
    if (HasRoom(c)) next = std::min(next, PlannedUs(job, plans_[c]));
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

#include "uplink/logic_queue.h"

#include <utility>

#include "uplink/logic_port.h"

namespace encke::uplink {
namespace {

constexpr char kNoAnswer[] = "no logic answered";

// What an event counts for: its bytes, and something for an empty one.
template <class Event>
std::size_t Cost(const Event& event) {
  return event.ByteSizeLong() + 8;
}

// Moves events into a repeated field until the batch is big enough; `keep` gets each of them first.
template <class Event, class Field, class Keep>
void Drain(
    std::deque<Event>* from, Field* to, Counter* counter, std::size_t* bytes, const Keep& keep) {
  while (!from->empty() && *bytes < LogicQueue::kBatchBytes) {
    *bytes += Cost(from->front());
    keep(from->front());
    *to->Add() = std::move(from->front());
    from->pop_front();
    counter->Add();
  }
}

}  // namespace

bool LogicQueue::Arrive(Connect ask, std::int64_t now_us) {
  return connects_.Put(std::move(ask), now_us);
}

bool LogicQueue::Ask(Request request, std::int64_t now_us) {
  return requests_.Put(std::move(request), now_us);
}

void LogicQueue::Report(std::vector<PushReport> reports) {
  for (PushReport& report : reports)
    reports_.push_back(std::move(report));
  for (; reports_.size() > kReportsMax; reports_.pop_front())
    stats_.dropped_reports.Add();
}

bool LogicQueue::Renew(Renewal renewal) {
  if (renewals_.size() >= events_max_) {
    stats_.dropped_renewals.Add();
    return false;
  }
  renewals_.push_back(std::move(renewal));
  return true;
}

void LogicQueue::Depart(Disconnect goodbye) {
  if (disconnects_.size() >= events_max_) return stats_.dropped_disconnects.Add();
  disconnects_.push_back(std::move(goodbye));
}

bool LogicQueue::Receive(Upstream package) {
  if (upstreams_.size() >= events_max_ || upstream_bytes_ >= bytes_max_) return false;
  upstream_bytes_ += Cost(package);
  upstreams_.push_back(std::move(package));
  return true;
}

bool LogicQueue::Fill(SessionUp* out, std::int64_t now_us) {
  std::size_t bytes = 0;
  Trim(&said_, now_us, events_max_);
  Trim(&reported_, now_us, kReportsMax);
  Trim(&upstreamed_, now_us, events_max_);
  Drain(&disconnects_, out->mutable_disconnects(), &stats_.disconnects, &bytes,
        [&](const Disconnect& event) {
          said_.push_back({event, now_us});
        });
  connects_.Fill(out->mutable_connects(), now_us, kBatchBytes, &bytes, &stats_.connects);
  requests_.Fill(out->mutable_requests(), now_us, kBatchBytes, &bytes, &stats_.requests);
  Drain(&renewals_, out->mutable_renewals(), &stats_.renewals, &bytes, [](const Renewal&) {});
  std::uint64_t upstreams = 0;
  const std::size_t before = bytes;
  Drain(&upstreams_, out->mutable_upstreams(), &stats_.upstreams, &bytes,
        [&](const Upstream&) { ++upstreams; });
  upstream_bytes_ -= bytes - before;
  if (upstreams > 0) upstreamed_.push_back({upstreams, now_us});
  Drain(&reports_, out->mutable_reports(), &stats_.reports, &bytes, [&](const PushReport& event) {
    reported_.push_back({event, now_us});
  });
  return bytes > 0;
}

template <class Event>
void LogicQueue::Trim(AllSaid<Event>* said, std::int64_t now_us, std::size_t most) {
  while (!said->empty() &&
         (said->front().at_us < now_us - kRepeatMs * 1000 || said->size() > most)) {
    said->pop_front();
  }
}

template <class Event>
void LogicQueue::Repeat(AllSaid<Event>* said, std::deque<Event>* again, std::int64_t now_us) {
  for (; !said->empty(); said->pop_back())
    if (said->back().at_us >= now_us - kRepeatMs * 1000)
      again->push_front(std::move(said->back().event));
}

void LogicQueue::Restart(std::int64_t now_us) {
  connects_.Restart();
  requests_.Restart();
  Repeat(&said_, &disconnects_, now_us);
  Repeat(&reported_, &reports_, now_us);
  Trim(&upstreamed_, now_us, events_max_);
  for (; !upstreamed_.empty(); upstreamed_.pop_front())
    stats_.upstreams_in_doubt.Add(upstreamed_.front().event);
}

LogicQueue::Answers LogicQueue::Sort(const SessionDown& down, std::int64_t now_us) {
  Answers out;
  for (const ConnectReply& reply : down.connects()) {
    if (const auto waited = connects_.Answered(reply.id(), now_us)) {
      stats_.answer_us.Observe(static_cast<std::uint64_t>(*waited));
      out.connects.push_back(reply);
    } else if (reply.refused().empty() && !reply.key().empty()) {
      out.goodbyes.push_back(GoodbyeOf(reply.mid(), reply.key(), reply.generation()));
    }
  }
  for (const Reply& reply : down.replies()) {
    const auto waited = requests_.Answered(reply.id(), now_us);
    if (!waited) continue;
    stats_.request_us.Observe(static_cast<std::uint64_t>(*waited));
    out.replies.push_back(reply);
  }
  return out;
}

LogicQueue::Answers LogicQueue::GiveUp(std::int64_t connects_before_us,
                                       std::int64_t requests_before_us) {
  Answers out;
  for (const std::uint64_t id : connects_.GiveUp(connects_before_us)) {
    ConnectReply& reply = out.connects.emplace_back();
    reply.set_id(id);
    reply.set_refused(kNoAnswer);
    reply.set_retry(true);
  }
  for (const std::uint64_t id : requests_.GiveUp(requests_before_us)) {
    Reply& reply = out.replies.emplace_back();
    reply.set_id(id);
    reply.set_error(kNoAnswer);
    reply.set_retry(true);
  }
  stats_.unanswered.Add(out.connects.size());
  stats_.requests_unanswered.Add(out.replies.size());
  stats_.waiting.Set(static_cast<std::int64_t>(connects_.waiting()));
  return out;
}

}  // namespace encke::uplink

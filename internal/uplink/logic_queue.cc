#include "uplink/logic_queue.h"

#include <utility>

#include "uplink/logic_port.h"

namespace encke::uplink {
namespace {

// What an event counts for: its bytes, and something for an empty one.
template <class Event>
std::size_t Cost(const Event& event) {
  return event.ByteSizeLong() + 8;
}

// Moves events into a repeated field until the batch is big enough.
template <class Event, class Field>
void Drain(std::deque<Event>* from, Field* to, Counter* counter, std::size_t* bytes) {
  while (!from->empty() && *bytes < LogicQueue::kBatchBytes) {
    *bytes += Cost(from->front());
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
  FillDisconnects(out, now_us, &bytes);
  connects_.Fill(out->mutable_connects(), now_us, kBatchBytes, &bytes, &stats_.connects);
  requests_.Fill(out->mutable_requests(), now_us, kBatchBytes, &bytes, &stats_.requests);
  Drain(&renewals_, out->mutable_renewals(), &stats_.renewals, &bytes);
  const std::size_t before = bytes;
  Drain(&upstreams_, out->mutable_upstreams(), &stats_.upstreams, &bytes);
  upstream_bytes_ -= bytes - before;
  Drain(&reports_, out->mutable_reports(), &stats_.reports, &bytes);
  return bytes > 0;
}

void LogicQueue::FillDisconnects(SessionUp* out, std::int64_t now_us, std::size_t* bytes) {
  while (!said_.empty() &&
         (said_.front().at_us < now_us - kRepeatMs * 1000 || said_.size() > events_max_)) {
    said_.pop_front();
  }
  while (!disconnects_.empty() && *bytes < kBatchBytes) {
    *out->add_disconnects() = disconnects_.front();
    *bytes += Cost(disconnects_.front());
    said_.push_back({std::move(disconnects_.front()), now_us});
    disconnects_.pop_front();
    stats_.disconnects.Add();
  }
}

void LogicQueue::Restart(std::int64_t now_us) {
  connects_.Restart();
  requests_.Restart();
  while (!said_.empty()) {
    if (said_.back().at_us >= now_us - kRepeatMs * 1000) {
      disconnects_.push_front(std::move(said_.back().event));
    }
    said_.pop_back();
  }
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

}  // namespace encke::uplink

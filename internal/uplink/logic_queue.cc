#include "uplink/logic_queue.h"

#include <utility>

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
  if (asks_.size() >= events_max_ || ask_bytes_ >= bytes_max_) return false;
  const std::uint64_t id = ask.id();
  ask_bytes_ += Cost(ask);
  unsent_.push_back(id);
  asked_.push_back({id, now_us});
  asks_[id] = {std::move(ask), now_us, 0};
  return true;
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
  FillConnects(out, now_us, &bytes);
  Drain(&renewals_, out->mutable_renewals(), &stats_.renewals, &bytes);
  const std::size_t before = bytes;
  Drain(&upstreams_, out->mutable_upstreams(), &stats_.upstreams, &bytes);
  upstream_bytes_ -= bytes - before;
  return bytes > 0;
}

void LogicQueue::Forget(std::unordered_map<std::uint64_t, Ask>::iterator ask) {
  ask_bytes_ -= Cost(ask->second.event);
  asks_.erase(ask);
}

void LogicQueue::FillConnects(SessionUp* out, std::int64_t now_us, std::size_t* bytes) {
  while (!unsent_.empty() && *bytes < kBatchBytes) {
    const std::uint64_t id = unsent_.front();
    unsent_.pop_front();
    const auto at = asks_.find(id);
    if (at == asks_.end()) continue;
    at->second.sent_us = now_us;
    sent_.push_back({id, now_us});
    *out->add_connects() = at->second.event;
    *bytes += Cost(at->second.event);
    stats_.connects.Add();
  }
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
  unsent_.clear();
  sent_.clear();
  for (const Mark& mark : asked_) {
    const auto at = asks_.find(mark.id);
    if (at == asks_.end() || at->second.asked_us != mark.at_us) continue;
    at->second.sent_us = 0;
    unsent_.push_back(mark.id);
  }
  while (!said_.empty()) {
    if (said_.back().at_us >= now_us - kRepeatMs * 1000) {
      disconnects_.push_front(std::move(said_.back().event));
    }
    said_.pop_back();
  }
}

std::optional<std::int64_t> LogicQueue::Answered(std::uint64_t id, std::int64_t now_us) {
  const auto at = asks_.find(id);
  if (at == asks_.end()) return std::nullopt;
  const std::int64_t waited = now_us - at->second.asked_us;
  Forget(at);
  return waited;
}

std::int64_t LogicQueue::SilenceUs(std::int64_t now_us) {
  while (!sent_.empty()) {
    const auto at = asks_.find(sent_.front().id);
    if (at != asks_.end() && at->second.sent_us == sent_.front().at_us) {
      return now_us - sent_.front().at_us;
    }
    sent_.pop_front();
  }
  return 0;
}

std::vector<std::uint64_t> LogicQueue::GiveUp(std::int64_t asked_before_us) {
  std::vector<std::uint64_t> given_up;
  while (!asked_.empty()) {
    const auto at = asks_.find(asked_.front().id);
    if (at != asks_.end() && at->second.asked_us == asked_.front().at_us) {
      if (at->second.asked_us >= asked_before_us) break;
      given_up.push_back(at->first);
      Forget(at);
    }
    asked_.pop_front();
  }
  stats_.unanswered.Add(given_up.size());
  return given_up;
}

}  // namespace encke::uplink

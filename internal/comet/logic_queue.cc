#include "comet/logic_queue.h"

#include <utility>

namespace encke::comet {
namespace {

// Moves events into a repeated field until the batch is big enough.
template <class Event, class Field>
void Drain(std::deque<Event>* from, Field* to, Counter* counter, std::size_t* bytes) {
  while (!from->empty() && *bytes < LogicQueue::kBatchBytes) {
    *bytes += from->front().ByteSizeLong();
    *to->Add() = std::move(from->front());
    from->pop_front();
    counter->Add();
  }
}

}  // namespace

bool LogicQueue::Arrive(Connect ask, std::int64_t now_us) {
  if (asks_.size() >= events_max_) return false;
  const std::uint64_t id = ask.id();
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
  if (upstreams_.size() >= events_max_) return false;
  upstreams_.push_back(std::move(package));
  return true;
}

bool LogicQueue::Fill(SessionUp* out, std::int64_t now_us) {
  std::size_t bytes = 0;
  FillDisconnects(out, now_us, &bytes);
  FillConnects(out, now_us, &bytes);
  Drain(&renewals_, out->mutable_renewals(), &stats_.renewals, &bytes);
  Drain(&upstreams_, out->mutable_upstreams(), &stats_.upstreams, &bytes);
  return bytes > 0;
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
    *bytes += at->second.event.ByteSizeLong();
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
    *bytes += disconnects_.front().ByteSizeLong();
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
  asks_.erase(at);
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
      asks_.erase(at);
    }
    asked_.pop_front();
  }
  stats_.unanswered.Add(given_up.size());
  return given_up;
}

}  // namespace encke::comet

// What Sessions does for clients that read too slowly: what waits, what is given up, who must go.
#include <algorithm>
#include <utility>

#include "hub/batch.h"
#include "session/sessions.h"

namespace encke::session {
namespace {

// Of a backlog, into an empty outbox: what is in there is not replaced any more.
constexpr std::size_t kFeedBytes = std::size_t{64} * 1024;

void Recount(backlog::Fate* fate, std::atomic<std::uint64_t> backlog::Fate::*to) {
  if (fate == nullptr) return;
  fate->queued.fetch_sub(1, std::memory_order_relaxed);
  (fate->*to).fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

hub::Taken Sessions::Send(hub::Slot slot,
                          const SharedBytes& bytes,
                          std::size_t messages,
                          const hub::Rule& rule) {
  net::Sent sent = connections_.SendFirst(slot, bytes);
  if (sent == net::Sent::kSent) return hub::Taken::kSent;  // nearly always
  if (sent == net::Sent::kBusy) {
    if (rule.apart() || lines_.contains(slot)) return hub::Taken::kBusy;
    sent = connections_.Send(slot, bytes);
  }
  switch (sent) {
    case net::Sent::kQueued:
      return hub::Taken::kQueued;
    case net::Sent::kGone:
      stats_.dropped_gone.Add(messages);
      return hub::Taken::kDropped;
    default:
      return Refuse(slot, rule.policy, messages);
  }
}

// A line is only made while the outbox is in use: OnDrained comes, and feeds it.
hub::Taken Sessions::Wait(hub::Slot slot, const backlog::ItemPtr& push) {
  if (!connections_.Alive(slot)) {
    stats_.dropped_gone.Add();
    return hub::Taken::kDropped;
  }
  const std::size_t most = options_.net.outbox_bytes_max;
  const std::size_t left = most - std::min(most, connections_.Queued(slot));
  bool waits = false;
  lines_.try_emplace(slot);
  WithLine(slot, [&](backlog::Backlog& line) {
    waits = line.Add(push, left, [this, slot](const backlog::Item& other, backlog::Why why) {
      Lose(slot, other, why);
    });
  });
  return waits ? hub::Taken::kQueued : Refuse(slot, push->policy, 1);
}

hub::Taken Sessions::Refuse(net::Slot slot, hub::Policy policy, std::size_t messages) {
  stats_.dropped_slow[static_cast<std::size_t>(policy)].Add(messages);
  MarkSlow(slot);
  if (policy == hub::Policy::kKeep) End(slot, CloseReason::kSlow);
  return hub::Taken::kDropped;
}

void Sessions::MarkSlow(net::Slot slot) {
  Session& s = slab_[slot];
  if (!s.slow) s.slow_since = static_cast<std::uint32_t>(loop_.now_ms());
  if (!s.listed) slow_.push_back({slot, connections_.Serial(slot)});
  s.slow = s.listed = true;
}

// A session is slow from its first push that found no room until its outbox was empty once.
void Sessions::CheckSlow() {
  const auto now = static_cast<std::uint32_t>(loop_.now_ms());
  const auto limit = static_cast<std::uint32_t>(options_.session.slow_timeout.count());
  std::erase_if(slow_, [this, now, limit](const Slow& entry) {
    const bool here =
        connections_.Alive(entry.slot) && connections_.Serial(entry.slot) == entry.serial;
    if (!here) return true;
    Session& s = slab_[entry.slot];
    if (s.slow && now - s.slow_since < limit) return false;
    if (s.slow) End(entry.slot, CloseReason::kSlow);
    s.listed = false;
    return true;
  });
}

// Gaps are told before what comes behind them.
void Sessions::OnDrained(net::Slot slot) {
  Session& s = slab_[slot];
  s.slow = false;
  if (s.guest && s.stage == Stage::kReady) talks_.OnDrained(slot);
  Feed(slot);
  if (!s.paused) return;
  s.paused = false;
  connections_.Resume(slot);
}

void Sessions::Feed(net::Slot slot) {
  const std::size_t most = std::min(kFeedBytes, options_.net.outbox_bytes_max / 2);
  WithLine(slot, [&](backlog::Backlog& line) {
    while (!line.empty() && connections_.Alive(slot) && connections_.Queued(slot) == 0)
      connections_.Send(slot, hub::Framed(slab_[slot].format(), line.Take(most)));
  });
}

void Sessions::WithLine(net::Slot slot, const std::function<void(backlog::Backlog&)>& work) {
  const auto line = lines_.find(slot);
  if (line == lines_.end()) return;
  line_bytes_ -= line->second.bytes();
  work(line->second);
  line_bytes_ += line->second.bytes();
  if (line->second.empty()) lines_.erase(line);
}

void Sessions::LeaveLine(net::Slot slot, std::string_view room) {
  WithLine(slot, [this, slot, room](backlog::Backlog& line) {
    line.Leave(
        room, [this, slot](const backlog::Item& push, backlog::Why why) { Lose(slot, push, why); });
  });
}

// It was taken, to wait; now it is counted as what became of it.
void Sessions::Lose(net::Slot slot, const backlog::Item& push, backlog::Why why) {
  const bool newer = why == backlog::Why::kNewer;
  Recount(push.fate.get(), newer ? &backlog::Fate::conflated : &backlog::Fate::slow);
  if (why == backlog::Why::kLeft) return stats_.dropped_gone.Add();
  if (newer) {
    stats_.dropped_conflated.Add();
  } else {
    stats_.dropped_slow[static_cast<std::size_t>(push.policy)].Add();
    MarkSlow(slot);
  }
  Missed(slot, hub::MissOf(push));
}

}  // namespace encke::session

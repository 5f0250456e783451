// What Sessions does by the clock: room counts, announcing and draining.
#include <algorithm>
#include <limits>

#include "session/sessions.h"

namespace encke::session {
namespace {

constexpr std::int64_t kSecondMs = 1000;

}  // namespace

void Sessions::Tick() {
  const std::int64_t now = loop_.now_ms();
  WalkOn(announce_, options_.session.announce_rate,
         [this](net::Slot slot) { return !hub_.Has(slot) || Renew(slot); });
  WalkOn(drain_, hurry_ ? std::numeric_limits<int>::max() : options_.session.drain_rate,
         [this](net::Slot slot) {
           End(slot, CloseReason::kShutdown);
           return true;
         });
  ticked_ms_ = now;
  if (now - reported_ms_ >= options_.session.report_interval.count()) {
    reported_ms_ = now;
    Report();
  }
  if (now - published_ms_ >= kSecondMs) {
    published_ms_ = now;
    CheckSlow();
    Publish();
  }
}

void Sessions::Report() {
  for (const auto& [room, members] : moved_)
    parts_.census.Add(room, members);
  moved_.clear();
}

void Sessions::Announce() { announce_ = {.on = true}; }

void Sessions::Drain() {
  draining_ = true;
  connections_.StopListening();
  drain_ = {.on = true};
}

void Sessions::HurryDrain() { hurry_ = true; }

// Visits slots at `rate` a second over the whole comet; false from visit: the same slot next time.
void Sessions::WalkOn(Walk& walk, int rate, const std::function<bool(net::Slot)>& visit) {
  if (!walk.on) return;
  const double share = static_cast<double>(rate) / options_.shards;
  const auto passed = static_cast<double>(loop_.now_ms() - ticked_ms_);
  walk.budget = std::min(walk.budget + share * passed / kSecondMs, std::max(share, 1.0));
  for (; walk.next < connections_.slots() && walk.budget >= 1; ++walk.next) {
    if (!connections_.Alive(walk.next)) continue;
    if (!visit(walk.next)) return;
    walk.budget -= 1;
  }
  if (walk.next >= connections_.slots()) walk.on = false;
}

void Sessions::Publish() {
  stats_.channels.Set(static_cast<std::int64_t>(hub_.size()));
  stats_.rooms.Set(static_cast<std::int64_t>(hub_.rooms()));
  stats_.session_bytes.Set(static_cast<std::int64_t>(slab_.BytesUsed()));
  stats_.net_bytes.Set(static_cast<std::int64_t>(connections_.BytesUsed() + line_bytes_));
  stats_.hub_bytes.Set(static_cast<std::int64_t>(hub_.BytesUsed()));
}

}  // namespace encke::session

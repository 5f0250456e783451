#include "hub/broadcast.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace encke::hub {
namespace {

constexpr std::size_t kVisitsPerTurn = 1024;  // slots looked at, whoever is there
constexpr double kRateMax = 1e9;              // beyond, pacing has no meaning
constexpr double kBurstSeconds = 0.1;         // what a stalled shard may catch up
constexpr double kMicros = 1e6;
constexpr double kWaitMsMax = 60'000;

double BurstOf(double rate) { return std::max(1.0, rate * kBurstSeconds); }

}  // namespace

Broadcasts::Broadcasts(const HubOptions& options,
                       Channels& channels,
                       AcceptSets& accepts,
                       Sink& sink,
                       HubCounts& counts)
    : broadcasts_max_(options.broadcasts_max),
      wall_us_(options.wall_us),
      rules_(options.rules),
      channels_(channels),
      accepts_(accepts),
      sink_(sink),
      counts_(counts) {}

bool Broadcasts::Add(const Push& push, double rate, Done done) {
  if (at_once_.size() + paced_.size() >= broadcasts_max_) return false;
  auto& queue = rate > 0 && rate <= kRateMax ? paced_ : at_once_;
  queue.push_back({.op = push.what.op,
                   .bytes = Outgoing(push.what, OriginOf(push, rules_, Rules::kOther)),
                   .rate = rate,
                   .done = std::move(done),
                   .extras = push.extras,
                   .expires_us = push.expires_us,
                   .end = channels_.end()});
  return true;
}

bool Broadcasts::Turn(std::int64_t now_us, std::size_t sends_max, Tally* tally) {
  DropExpired(at_once_);
  DropExpired(paced_);
  const bool at_once = TurnAtOnce(sends_max, tally);
  return TurnPaced(now_us, sends_max, tally) || at_once;
}

void Broadcasts::DropExpired(std::deque<Walk>& queue) {
  while (!queue.empty() && queue.front().expires_us > 0 && wall_us_() > queue.front().expires_us) {
    counts_.expired.Add();
    AddFate(queue.front().extras.get(), &Fate::expired);
    Finish(queue);
  }
}

bool Broadcasts::TurnAtOnce(std::size_t sends_max, Tally* tally) {
  if (at_once_.empty()) return false;
  Walk& walk = at_once_.front();
  std::size_t sends = 0;
  for (std::size_t visits = 0; visits < kVisitsPerTurn && walk.next < walk.end; ++visits) {
    if (Visit(walk, tally) && ++sends == sends_max) break;
  }
  if (walk.next >= walk.end) Finish(at_once_);
  return true;
}

bool Broadcasts::TurnPaced(std::int64_t now_us, std::size_t sends_max, Tally* tally) {
  if (paced_.empty()) return false;
  Walk& walk = paced_.front();
  if (walk.since_us < 0) walk.since_us = now_us;
  const double elapsed = static_cast<double>(now_us - walk.since_us) / kMicros;
  walk.tokens =
      std::min(walk.tokens + elapsed * walk.rate, std::max(walk.tokens, BurstOf(walk.rate)));
  walk.since_us = now_us;
  if (walk.tokens < 1) return false;
  std::size_t sends = 0;
  for (std::size_t visits = 0; visits < kVisitsPerTurn && walk.next < walk.end; ++visits) {
    if (walk.tokens < 1 || sends == sends_max) break;
    if (!Visit(walk, tally)) continue;
    walk.tokens -= 1;
    ++sends;
  }
  if (walk.next >= walk.end) Finish(paced_);
  return true;
}

bool Broadcasts::Visit(Walk& walk, Tally* tally) {
  const Slot slot = walk.next++;
  const Channel* channel = channels_.Find(slot);
  if (channel == nullptr) return false;
  const Extras* extras = walk.extras.get();
  if (!accepts_.Has(channel->accepts, walk.op)) {
    AddFate(extras, &Fate::filtered);
    return false;
  }
  if (LeavesOut(sink_, slot, extras)) {
    ++tally->excluded;
    AddFate(extras, &Fate::excluded);
    return false;
  }
  ++walk.reached;
  const bool two = IsTwo(channel->format);
  const Taken taken = SendAlone(sink_, slot, channel->format, walk.bytes);
  tally->Add(taken, 1);
  AddFate(extras, taken);
  if (taken == Taken::kDropped && two) sink_.Missed(slot, {.room = {}, .lost = 1});
  return true;
}

void Broadcasts::Finish(std::deque<Walk>& queue) {
  const Done done = std::move(queue.front().done);
  const std::size_t reached = queue.front().reached;
  queue.pop_front();
  if (done) done(reached);  // last: it may begin the next one
}

bool Broadcasts::Ready(std::int64_t now_us) const {
  return !at_once_.empty() || NextPaceMs(now_us / 1000) == 0;
}

std::int64_t Broadcasts::NextPaceMs(std::int64_t now_ms) const {
  if (paced_.empty()) return -1;
  const Walk& walk = paced_.front();
  if (walk.since_us < 0 || walk.tokens >= 1) return 0;
  const double due_us =
      static_cast<double>(walk.since_us) + (1 - walk.tokens) / walk.rate * kMicros;
  const double wait_ms = (due_us - static_cast<double>(now_ms) * 1000) / 1000;
  return static_cast<std::int64_t>(std::ceil(std::clamp(wait_ms, 0.0, kWaitMsMax)));
}

std::size_t Broadcasts::BytesUsed() const {
  return (at_once_.size() + paced_.size()) * sizeof(Walk);
}

}  // namespace encke::hub

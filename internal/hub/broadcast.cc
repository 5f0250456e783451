#include "hub/broadcast.h"

#include <algorithm>
#include <cmath>
#include <string>
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

Broadcasts::Broadcasts(std::size_t broadcasts_max,
                       Channels& channels,
                       AcceptSets& accepts,
                       Sink& sink)
    : broadcasts_max_(broadcasts_max), channels_(channels), accepts_(accepts), sink_(sink) {}

bool Broadcasts::Add(std::int32_t op, std::string_view body, double rate, Done done) {
  if (at_once_.size() + paced_.size() >= broadcasts_max_) return false;
  std::string package;
  AppendPush(&package, op, body);
  auto& queue = rate > 0 && rate <= kRateMax ? paced_ : at_once_;
  queue.push_back({.op = op,
                   .bytes = Outgoing(std::move(package)),
                   .rate = rate,
                   .done = std::move(done),
                   .end = channels_.end()});
  return true;
}

bool Broadcasts::Turn(std::int64_t now_us, std::size_t sends_max, Tally* tally) {
  const bool at_once = TurnAtOnce(sends_max, tally);
  return TurnPaced(now_us, sends_max, tally) || at_once;
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
  if (channel == nullptr || !accepts_.Has(channel->accepts, walk.op)) return false;
  ++walk.reached;
  tally->Add(sink_.Send(slot, walk.bytes.As(channel->format), 1), 1);
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

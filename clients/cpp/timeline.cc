#include "clients/cpp/timeline.h"

#include <algorithm>
#include <utility>

namespace encke::client {

Timeline::Timeline(std::string room, std::uint64_t epoch, std::uint64_t seq, Events events)
    : room_(std::move(room)),
      events_(std::move(events)),
      placed_(epoch > 0),
      epoch_(epoch),
      seq_(seq) {}

Cursor Timeline::cursor() const {
  Cursor cursor;
  cursor.set_room(room_);
  if (!placed_) return cursor;
  cursor.set_epoch(epoch_);
  cursor.set_seq(seq_);
  return cursor;
}

std::optional<Sync> Timeline::TakeSync() {
  if (!std::exchange(want_, false)) return std::nullopt;
  Sync sync;
  sync.set_room(room_);
  sync.set_epoch(epoch_);
  sync.set_after(seq_);
  return sync;
}

void Timeline::StartSync() {
  state_ = State::kSyncing;
  want_ = true;
  failed_ = again_ = false;
  began_ = seq_;
}

bool Timeline::Behind() const {
  return !held_.empty() || head_epoch_ != epoch_ || head_seq_ > seq_;
}

void Timeline::OnJoined(const Joined& joined) {
  if (joined.known()) {
    head_epoch_ = joined.epoch();
    head_seq_ = joined.seq();
  }
  const bool inbox = room_.rfind("user://", 0) == 0;
  if (joined.known() && inbox && (!placed_ || epoch_ == joined.epoch())) {
    epoch_ = joined.epoch();
    seq_ = std::max(placed_ ? seq_ : 0, joined.cursor());
    placed_ = true;
  } else if (joined.known() && !placed_) {
    epoch_ = joined.epoch();
    seq_ = joined.seq();
    placed_ = true;
  }
  if (joined.syncing()) {
    StartSync();
    want_ = false;  // the server does it by itself
    return;
  }
  state_ = State::kLive;
  DeliverHeld();
  if (placed_ && (!joined.known() || Behind())) StartSync();
}

void Timeline::OnHead(std::uint64_t epoch, std::uint64_t seq) {
  head_epoch_ = epoch;
  head_seq_ = seq;
  if (state_ == State::kDown) return;
  if (!placed_) {
    epoch_ = epoch;
    seq_ = seq;
    placed_ = true;
    return DeliverHeld();
  }
  if (state_ == State::kLive ? Behind() : failed_) StartSync();
}

void Timeline::OnPush(const Push& push) { Take(push.epoch(), push.seq(), &push); }

void Timeline::OnGap(const Gap& gap) {
  if (gap.from() == 0) return;
  if (gap.reason() == Gap::EXCLUDED) {
    for (std::uint64_t seq = gap.from(); seq <= gap.to() && seq - gap.from() < kHeldMax; ++seq)
      Take(gap.epoch(), seq, nullptr);
    return;
  }
  if (state_ == State::kDown || (gap.epoch() == epoch_ && gap.to() <= seq_)) return;
  if (state_ == State::kSyncing) {
    again_ = true;
  } else if (placed_) {
    StartSync();
  }
}

void Timeline::Take(std::uint64_t epoch, std::uint64_t seq, const Push* push) {
  if (state_ == State::kLive && !placed_) {
    epoch_ = epoch;
    seq_ = seq - 1;
    placed_ = true;
  }
  if (placed_ && epoch == epoch_ && seq <= seq_) return;  // a repeat
  if (epoch != held_epoch_) held_.clear();
  held_epoch_ = epoch;
  Hold(seq, push);
  if (state_ != State::kLive) return;
  DeliverHeld();
  if (!held_.empty()) StartSync();
}

void Timeline::Hold(std::uint64_t seq, const Push* push) {
  held_.try_emplace(seq, Held{push == nullptr ? std::nullopt : std::optional(*push)});
  if (held_.size() <= kHeldMax) return;
  held_.erase(std::prev(held_.end()));
  again_ = true;
}

void Timeline::Deliver(std::uint64_t seq, const std::optional<Push>& push) {
  seq_ = seq;
  if (push) events_.push(*push);
}

void Timeline::DeliverHeld() {
  if (!placed_ || held_epoch_ != epoch_) return;
  while (!held_.empty() && held_.begin()->first <= seq_ + 1) {
    const auto first = held_.begin();
    const std::uint64_t seq = first->first;
    const Held held = std::move(first->second);
    held_.erase(first);
    if (seq == seq_ + 1) Deliver(seq, held.push);
  }
}

void Timeline::OnSync(const SyncReply& reply) {
  if (state_ != State::kSyncing) return;
  if (reply.has_error()) {
    failed_ = true;  // until Retry, or the next head
    return;
  }
  if (reply.reload()) {
    epoch_ = reply.epoch();
    seq_ = reply.pushes().empty() ? reply.through() : reply.pushes(0).seq() - 1;
    began_ = 0;
    placed_ = true;
    events_.reload();
  } else {
    epoch_ = reply.epoch();  // the same, or another name of it while it was empty
  }
  for (const Push& push : reply.pushes())
    if (push.seq() > seq_) Deliver(push.seq(), push);
  seq_ = std::max(seq_, reply.through());
  if (held_epoch_ != epoch_) held_.clear();
  DeliverHeld();
  if (reply.more()) {
    want_ = true;
    return;
  }
  state_ = State::kLive;
  const bool moved = seq_ != began_;
  if (again_ || (moved && Behind() && head_epoch_ == epoch_)) StartSync();
}

void Timeline::Retry() {
  if (state_ == State::kSyncing && failed_) StartSync();
}

void Timeline::OnDown() {
  state_ = State::kDown;
  held_.clear();
  want_ = failed_ = again_ = false;
}

}  // namespace encke::client

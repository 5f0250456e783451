#include "hub/room.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace encke::hub {

std::uint32_t Room::Add(Slot slot, Format format) {
  assert(slot < 1U << 30);
  members_.push_back({.slot = slot & 0x3fffffffU,
                      .format = static_cast<std::uint32_t>(format) & 3U,
                      .since = next_});
  if (IsTwo(format)) ++twos_;
  return static_cast<std::uint32_t>(members_.size() - 1);
}

void Room::Remove(std::uint32_t position, const std::function<void(Slot, std::uint32_t)>& moved) {
  assert(position < members_.size());
  if (IsTwo(static_cast<Format>(members_[position].format))) --twos_;
  std::uint32_t hole = position;
  const auto fill_from = [&](std::uint32_t from) {
    if (from != hole) {
      members_[hole] = members_[from];
      moved(members_[hole].slot, hole);
    }
    hole = from;
  };
  if (pending_ != nullptr && hole < pending_->done) fill_from(--pending_->done);
  fill_from(static_cast<std::uint32_t>(members_.size() - 1));
  members_.pop_back();
  if (members_.capacity() > 64 && members_.size() < members_.capacity() / 4) {
    members_.shrink_to_fit();
  }
}

std::vector<Slot> Room::SlotsBefore(std::size_t* end, std::size_t most) const {
  *end = std::min(*end, members_.size());
  std::vector<Slot> slots;
  for (; *end > 0 && slots.size() < most; --*end)
    slots.push_back(members_[*end - 1].slot);
  return slots;
}

std::size_t Room::Gather(const BatchLimits& limits, const Push& push) {
  if (pending_ == nullptr) pending_ = std::make_unique<Pending>();
  std::vector<Batch>& batches = pending_->batches;
  if (batches.empty() || !batches.back().Fits(limits, push)) batches.emplace_back().first = next_;
  ++next_;
  if (limits.labels) batches.back().labels.push_back(LabelOf(push));
  return batches.back().Add(push, twos_<members_.size(), twos_> 0);
}

bool Room::Walk(const BatchLimits& limits,
                std::size_t visits_max,
                Sink& sink,
                HubCounts& counts,
                Tally* tally) {
  if (members_.empty()) DropPending(tally);
  if (pending_ == nullptr) return false;
  if (!pending_->going) Begin(limits, counts, tally);
  const bool more = pending_->extras == nullptr
                        ? WalkMembers<&Room::SendTo>(visits_max, sink, tally)
                        : WalkMembers<&Room::SendWithExtras>(visits_max, sink, tally);
  if (more) return true;
  pending_->going.reset();
  pending_->extras.reset();
  pending_->done = 0;
  if (!pending_->batches.empty()) return true;
  pending_.reset();
  return false;
}

template <auto kSendTo>
bool Room::WalkMembers(std::size_t visits_max, Sink& sink, Tally* tally) {
  while (pending_->done < members_.size()) {
    if (tally->visits == visits_max) return true;
    ++tally->visits;
    (this->*kSendTo)(members_[pending_->done++], sink, tally);  // done: it may leave meanwhile
  }
  return false;
}

void Room::Begin(const BatchLimits& limits, HubCounts& counts, Tally* tally) {
  Pending& pending = *pending_;
  if (pending.batches.front().first >= limits.renumber_at) Renumber(pending.batches.front().first);
  Batch batch = std::move(pending.batches.front());
  pending.batches.erase(pending.batches.begin());
  pending.first = batch.first;
  pending.messages = batch.messages;
  counts.batches.Add();
  counts.batch_messages.Observe(batch.messages);
  pending.epoch = batch.epoch;
  pending.from = batch.from;
  pending.to = batch.to;
  pending.extras = std::move(batch.extras);
  tally->begun += batch.bytes();
  if (window_us_ > 0) {
    const std::size_t cost_us =
        members_.size() * batch.bytes() * std::size_t{1'000'000} / limits.hot_bytes_per_s;
    not_before_us_ =
        tally->now_us + static_cast<std::int64_t>(std::min<std::size_t>(cost_us, window_us_));
  }
  Origin origin{.rule = rule_, .labels = std::move(batch.labels)};
  if (!origin.labels.empty()) {
    origin.scope = origin.room = id_;
    origin.epoch = batch.epoch;
    if (pending.extras != nullptr) origin.fate = pending.extras->fate;
  }
  pending.going.emplace(std::move(batch.one), std::move(batch.two), std::move(origin));
}

std::int64_t Room::HeldUntilUs(std::int64_t now_us) const {
  if (not_before_us_ <= now_us || pending_ == nullptr || pending_->going) return 0;
  return pending_->batches.size() > 1 || members_.empty() ? 0 : not_before_us_;
}

void Room::Renumber(std::uint32_t base) {
  for (Member& member : members_)
    member.since = member.since <= base ? 0 : member.since - base;
  for (Batch& batch : pending_->batches)
    batch.first -= base;
  next_ -= base;
}

void Room::SendTo(Member member, Sink& sink, Tally* tally) {
  const std::uint32_t skip = member.since <= pending_->first ? 0 : member.since - pending_->first;
  if (skip >= pending_->messages) return;  // came after this batch
  const auto format = static_cast<Format>(member.format);
  const std::uint32_t messages = pending_->messages - skip;
  const Taken taken = sink.Send(member.slot, pending_->going->Tail(format, skip), messages, *rule_);
  if (taken == Taken::kBusy) return WaitApart(member, skip, sink, tally);
  tally->Add(taken, messages);
  if (taken == Taken::kDropped) Tell(member, sink, Miss::Why::kSlow, messages);
}

void Room::WaitApart(Member member, std::uint32_t skip, Sink& sink, Tally* tally) {
  for (const backlog::ItemPtr& item :
       pending_->going->Apart(static_cast<Format>(member.format), skip)) {
    const Taken taken = sink.Wait(member.slot, item);
    tally->Add(taken, 1);
    if (taken == Taken::kDropped) sink.Missed(member.slot, MissOf(*item));
  }
}

void Room::SendWithExtras(Member member, Sink& sink, Tally* tally) {
  if (member.since > pending_->first) return;
  const Extras* extras = pending_->extras.get();
  if (LeavesOut(sink, member.slot, extras)) {
    ++tally->excluded;
    AddFate(extras, &Fate::excluded);
    return Tell(member, sink, Miss::Why::kExcluded, 1);
  }
  const Taken taken =
      SendAlone(sink, member.slot, static_cast<Format>(member.format), *pending_->going);
  tally->Add(taken, 1);
  AddFate(extras, taken);
  if (taken == Taken::kDropped) Tell(member, sink, Miss::Why::kSlow, 1);
}

// What it was not meant to have is told for the numbers only.
void Room::Tell(Member member, Sink& sink, Miss::Why why, std::uint32_t lost) const {
  const bool two = IsTwo(static_cast<Format>(member.format));
  if (why == Miss::Why::kExcluded && (!two || pending_->to == 0)) return;
  sink.Missed(member.slot, {.room = id_,
                            .epoch = pending_->epoch,
                            .from = pending_->from,
                            .to = pending_->to,
                            .lost = lost,
                            .why = why});
}

bool Room::Advance(std::uint64_t epoch, std::uint64_t seq) {
  if (head_ == nullptr) head_ = std::make_unique<Head>();
  Head& head = *head_;
  if (epoch == head.before && epoch != 0) return false;
  if (epoch != head.epoch) {
    head = {.epoch = epoch, .seq = seq, .before = head.epoch};
    return true;
  }
  if (seq <= head.seq) return false;
  head.seq = seq;
  return true;
}

void AddFate(const Extras* extras,
             std::atomic<std::uint64_t> Fate::*why,
             std::uint64_t connections) {
  if (extras == nullptr || extras->fate == nullptr) return;
  ((*extras->fate).*why).fetch_add(connections, std::memory_order_relaxed);
}

void AddFate(const Extras* extras, Taken taken) {
  switch (taken) {
    case Taken::kSent:
      return AddFate(extras, &Fate::sent);
    case Taken::kQueued:
      return AddFate(extras, &Fate::queued);
    case Taken::kDropped:
      return AddFate(extras, &Fate::slow);
    case Taken::kBusy:
      break;
  }
  assert(false);
}

void Room::DropPending(Tally* tally) {
  if (pending_ == nullptr) return;
  for (const Batch& batch : pending_->batches)
    tally->begun += batch.bytes();
  pending_.reset();
}

std::size_t Room::BytesHeld() const {
  constexpr std::size_t kInline = 15;  // a longer string is on the heap
  return (id_.size() > kInline ? id_.capacity() : 0) + members_.capacity() * sizeof(Member) +
         (head_ != nullptr ? sizeof(Head) : 0);
}

std::optional<std::uint32_t> Rooms::NumberOf(std::string_view id) const {
  const auto at = by_id_.find(id);
  return at == by_id_.end() ? std::nullopt : std::optional(at->second);
}

std::optional<std::uint32_t> Rooms::FindOrMake(std::string_view id) {
  const auto at = by_id_.find(id);
  if (at != by_id_.end()) return at->second;
  if (by_id_.size() >= rooms_max_) return std::nullopt;
  std::uint32_t number = 0;
  if (free_.empty()) {
    number = static_cast<std::uint32_t>(slab_.size());
    slab_.emplace_back();
  } else {
    number = free_.back();
    free_.pop_back();
  }
  slab_[number].id_ = id;
  const std::string_view type = id.substr(0, id.find("://"));
  slab_[number].rule_ = &rules_.Of(type);
  if (!hot_windows_.empty()) slab_[number].window_us_ = WindowOf(type);
  held_ += slab_[number].BytesHeld();
  by_id_.emplace(slab_[number].id_, number);
  return number;
}

std::uint32_t Rooms::AddMember(std::uint32_t number, Slot slot, Format format) {
  Room& room = slab_[number];
  held_ -= room.BytesHeld();
  const std::uint32_t position = room.Add(slot, format);
  held_ += room.BytesHeld();
  return position;
}

void Rooms::RemoveMember(std::uint32_t number,
                         std::uint32_t position,
                         const std::function<void(Slot, std::uint32_t)>& moved) {
  Room& room = slab_[number];
  held_ -= room.BytesHeld();
  room.Remove(position, moved);
  held_ += room.BytesHeld();
}

bool Rooms::Advance(std::uint32_t number, std::uint64_t epoch, std::uint64_t seq) {
  Room& room = slab_[number];
  held_ -= room.BytesHeld();
  const bool fresh = room.Advance(epoch, seq);
  held_ += room.BytesHeld();
  return fresh;
}

void Rooms::Retire(std::uint32_t number) {
  Room& room = slab_[number];
  if (room.size() > 0 || room.listed_) return;
  by_id_.erase(room.id_);
  held_ -= room.BytesHeld();
  room = Room();
  free_.push_back(number);
}

void Rooms::List(std::uint32_t number) {
  if (std::exchange(slab_[number].listed_, true)) return;
  listed_.push_back(number);
}

void Rooms::Rotate(bool more) {
  const std::uint32_t number = listed_.front();
  listed_.pop_front();
  if (more) return listed_.push_back(number);
  slab_[number].listed_ = false;
  Retire(number);
}

bool Rooms::HoldNext(std::int64_t now_us) {
  const std::int64_t until_us = slab_[listed_.front()].HeldUntilUs(now_us);
  if (until_us == 0) return false;
  resting_.emplace(until_us, listed_.front());
  listed_.pop_front();
  return true;
}

void Rooms::ReleaseDue(std::int64_t now_us) {
  while (!resting_.empty() && resting_.begin()->first <= now_us) {
    listed_.push_back(resting_.begin()->second);
    resting_.erase(resting_.begin());
  }
}

void Rooms::ReleaseFull(std::uint32_t number) {
  if (resting_.empty() || slab_[number].pending_->batches.size() < 2) return;
  const auto at = std::find_if(resting_.begin(), resting_.end(),
                               [number](const auto& entry) { return entry.second == number; });
  if (at == resting_.end()) return;
  listed_.push_back(number);
  resting_.erase(at);
}

std::int64_t Rooms::NextReleaseUs() const {
  return resting_.empty() ? -1 : resting_.begin()->first;
}

std::uint32_t Rooms::WindowOf(std::string_view type) const {
  auto at = hot_windows_.find(std::string(type));
  if (at == hot_windows_.end()) at = hot_windows_.find("*");
  return at == hot_windows_.end() ? 0 : static_cast<std::uint32_t>(at->second.count() * 1000);
}

void Rooms::Each(const std::function<void(const Room&)>& visit) const {
  for (const auto& [id, number] : by_id_)
    if (slab_[number].size() > 0) visit(slab_[number]);
}

std::size_t Rooms::BytesUsed() const {
  constexpr std::size_t kMapNode = 56;
  return slab_.size() * sizeof(Room) + by_id_.size() * kMapNode + held_;
}

}  // namespace encke::hub

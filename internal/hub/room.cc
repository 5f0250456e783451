#include "hub/room.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "wire/package.h"

namespace encke::hub {

std::uint32_t Room::Add(Slot slot, Format format) {
  members_.push_back(
      {.slot = slot & 0x7fffffffU, .ws = format == Format::kWs ? 1U : 0U, .since = next_});
  return static_cast<std::uint32_t>(members_.size() - 1);
}

void Room::Remove(std::uint32_t position, const std::function<void(Slot, std::uint32_t)>& moved) {
  assert(position < members_.size());
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

void Room::Gather(const BatchLimits& limits, std::int32_t op, std::string_view body) {
  if (pending_ == nullptr) pending_ = std::make_unique<Pending>();
  std::vector<Batch>& batches = pending_->batches;
  const bool fits =
      !batches.empty() && batches.back().messages < limits.messages_max &&
      batches.back().packages.size() + wire::kHeaderBytes + body.size() <= limits.bytes_max;
  if (!fits) batches.push_back({.packages = {}, .first = next_, .messages = 0});
  AppendPush(&batches.back().packages, op, body);
  ++batches.back().messages;
  ++next_;
}

bool Room::Walk(const BatchLimits& limits,
                std::size_t visits_max,
                Sink& sink,
                HubCounts& counts,
                Tally* tally) {
  if (members_.empty()) DropPending(tally);
  if (pending_ == nullptr) return false;
  if (!pending_->going) Begin(limits, counts, tally);
  while (pending_->done < members_.size()) {
    if (tally->visits == visits_max) return true;
    ++tally->visits;
    SendTo(members_[pending_->done++], sink, tally);  // counts as done: it may leave meanwhile
  }
  pending_->going.reset();
  pending_->done = 0;
  if (!pending_->batches.empty()) return true;
  pending_.reset();
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
  tally->begun += batch.packages.size();
  pending.going.emplace(std::move(batch.packages));
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
  const Format format = member.ws == 1 ? Format::kWs : Format::kTcp;
  const std::uint32_t messages = pending_->messages - skip;
  tally->Add(sink.Send(member.slot, pending_->going->Tail(format, skip), messages), messages);
}

void Room::DropPending(Tally* tally) {
  if (pending_ == nullptr) return;
  for (const Batch& batch : pending_->batches)
    tally->begun += batch.packages.size();
  pending_.reset();
}

std::size_t Room::BytesHeld() const {
  constexpr std::size_t kInline = 15;  // a longer string is on the heap
  return (id_.size() > kInline ? id_.capacity() : 0) + members_.capacity() * sizeof(Member);
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

void Rooms::Each(const std::function<void(const Room&)>& visit) const {
  for (const auto& [id, number] : by_id_)
    if (slab_[number].size() > 0) visit(slab_[number]);
}

std::size_t Rooms::BytesUsed() const {
  constexpr std::size_t kMapNode = 56;
  return slab_.size() * sizeof(Room) + by_id_.size() * kMapNode + held_;
}

}  // namespace encke::hub

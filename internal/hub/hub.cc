#include "hub/hub.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "base/threads.h"
#include "hub/batch.h"
#include "hub/broadcast.h"
#include "hub/channels.h"
#include "hub/room.h"
#include "wire/package.h"

namespace encke::hub {

class Hub::Impl {
 public:
  Impl(const Hub& hub, const HubOptions& options, Sink& sink)
      : hub_(hub),
        options_(options),
        limits_{options.batch_bytes_max, options.batch_messages_max, options.renumber_at,
                std::max<std::size_t>(options.hot_bytes_per_s, 1), options.rules.apart()},
        sink_(sink),
        accepts_(options.accepts_max),
        rooms_(options_),
        broadcasts_(options_, channels_, accepts_, sink, counts_) {}

  void Enter(Slot slot, Format format, const Key& key, const std::vector<std::int32_t>& accepts);
  void Leave(Slot slot);
  Channel& Here(Slot slot);

  Change Join(Slot slot, const RoomId& id);
  bool LeaveRoom(Slot slot);
  bool LeaveRoom(Slot slot, std::string_view id);
  void LeaveAll(Slot slot);
  bool In(const Channel& channel, std::uint32_t number);

  Pushed PushRoom(std::string_view id, Push push);
  Pushed PushKey(Slot slot, const Push& push);
  Pushed PushAll(const Push& push, double rate, std::function<void(std::size_t)> done);
  bool Flush(std::int64_t budget_us);

  const Hub& hub_;  // for on_presence
  const HubOptions options_;
  const BatchLimits limits_;
  Sink& sink_;
  HubCounts counts_;
  ThreadOwner owner_;

  Channels channels_;
  Places places_;
  AcceptSets accepts_;
  Rooms rooms_;
  Broadcasts broadcasts_;
  std::size_t pending_bytes_ = 0;  // in gathering batches
  bool flushing_ = false;

 private:
  void LeaveNumber(std::uint32_t number, std::uint32_t position);
  Pushed SendKey(Slot slot, const Channel& channel, const Push& push);
  void TellPresence(const Room& room, bool present) const {
    if (hub_.on_presence) hub_.on_presence(room.id(), present);
  }
  bool TurnRooms(Tally* tally);
  void Count(const Tally& tally);
};

void Hub::Impl::Enter(Slot slot,
                      Format format,
                      const Key& key,
                      const std::vector<std::int32_t>& accepts) {
  owner_.Check();
  Channel& channel = channels_.Add(slot, key.value());
  channel.format = format;
  channel.room = kNoRoom;
  if (IsTwo(format)) channel.position = places_.Open();
  channel.accepts = accepts_.Take(accepts);
}

void Hub::Impl::Leave(Slot slot) {
  LeaveAll(slot);
  const Channel& channel = Here(slot);
  if (IsTwo(channel.format)) places_.Close(channel.position);
  accepts_.Release(channel.accepts);
  channels_.Remove(slot);
}

Channel& Hub::Impl::Here(Slot slot) {
  owner_.Check();
  Channel* channel = channels_.Find(slot);
  assert(channel != nullptr);
  return *channel;
}

bool Hub::Impl::In(const Channel& channel, std::uint32_t number) {
  return IsTwo(channel.format) ? places_.Find(channel.position, number) != nullptr
                               : channel.room == number;
}

Hub::Change Hub::Impl::Join(Slot slot, const RoomId& id) {
  Channel& channel = Here(slot);
  const auto known = rooms_.NumberOf(id.value());
  if (known && In(channel, *known)) return {};
  const auto number = known ? known : rooms_.FindOrMake(id.value());
  if (!number) return {.refused = true};
  if (!IsTwo(channel.format)) LeaveRoom(slot);
  Room& room = rooms_.At(*number);
  const std::uint32_t position = rooms_.AddMember(*number, slot, channel.format);
  if (IsTwo(channel.format)) {
    places_.Add(channel.position, {.room = *number, .position = position});
  } else {
    channel.room = *number;
    channel.position = position;
  }
  const bool first = room.size() == 1;
  if (first) TellPresence(room, true);
  return {.first = first};
}

bool Hub::Impl::LeaveRoom(Slot slot) {
  Channel& channel = Here(slot);
  if (IsTwo(channel.format) || channel.room == kNoRoom) return false;
  const std::uint32_t number = std::exchange(channel.room, kNoRoom);
  LeaveNumber(number, channel.position);
  return rooms_.At(number).size() == 0;
}

bool Hub::Impl::LeaveRoom(Slot slot, std::string_view id) {
  const Channel& channel = Here(slot);
  const auto number = rooms_.NumberOf(id);
  if (!number || !IsTwo(channel.format)) return false;
  const Places::Place* place = places_.Find(channel.position, *number);
  if (place == nullptr) return false;
  const std::uint32_t position = place->position;
  places_.Remove(channel.position, *number);
  LeaveNumber(*number, position);
  return true;
}

void Hub::Impl::LeaveAll(Slot slot) {
  const Channel& channel = Here(slot);
  if (!IsTwo(channel.format)) return void(LeaveRoom(slot));
  while (!places_.Of(channel.position).empty()) {
    const Places::Place place = places_.Of(channel.position).back();
    places_.Remove(channel.position, place.room);
    LeaveNumber(place.room, place.position);
  }
}

// The member is gone from its own channel's books already.
void Hub::Impl::LeaveNumber(std::uint32_t number, std::uint32_t position) {
  Room& room = rooms_.At(number);
  rooms_.RemoveMember(number, position, [this, number](Slot moved, std::uint32_t to) {
    Channel& channel = channels_.At(moved);
    if (!IsTwo(channel.format)) {
      channel.position = to;
    } else if (Places::Place* place = places_.Find(channel.position, number)) {
      place->position = to;
    }
  });
  if (room.size() > 0) return;
  TellPresence(room, false);
  rooms_.Retire(number);
}

Pushed Hub::Impl::PushRoom(std::string_view id, Push push) {
  owner_.Check();
  const auto number = rooms_.NumberOf(id);
  if (!number || rooms_.At(*number).size() == 0) return Pushed::kNobody;
  const std::size_t bytes = wire::kHeaderBytes + push.what.body.size();
  if (pending_bytes_ + bytes > options_.pending_bytes_max) {
    AddFate(push.extras.get(), &Fate::overflow);
    return Pushed::kDropped;
  }
  if (push.what.seq > 0 && !rooms_.Advance(*number, push.what.epoch, push.what.seq)) {
    counts_.repeats.Add();
    return Pushed::kRepeat;
  }
  push.what.room = id;
  pending_bytes_ += rooms_.At(*number).Gather(limits_, push);
  rooms_.List(*number);
  rooms_.ReleaseFull(*number);
  counts_.room_pushes.Add();
  return Pushed::kQueued;
}

Pushed Hub::Impl::PushKey(Slot slot, const Push& push) {
  owner_.Check();
  const Channel* channel = channels_.Find(slot);
  if (channel == nullptr) return Pushed::kNobody;
  const bool numbered = IsTwo(channel->format) && push.what.seq > 0;
  if (!numbered && !accepts_.Has(channel->accepts, push.what.op)) {
    AddFate(push.extras.get(), &Fate::filtered);
    return Pushed::kFiltered;
  }
  if (LeavesOut(sink_, slot, push.extras.get())) {
    AddFate(push.extras.get(), &Fate::excluded);
    counts_.excluded.Add();
    if (numbered) sink_.Missed(slot, MissOf(push, Miss::Why::kExcluded));
    return Pushed::kFiltered;
  }
  return SendKey(slot, *channel, push);
}

Pushed Hub::Impl::SendKey(Slot slot, const Channel& channel, const Push& push) {
  const bool two = IsTwo(channel.format);
  std::string package;
  if (two) {
    wire::AppendPush2(&package, push.what);
  } else {
    wire::AppendPush1(&package, push.what);
  }
  Lane lane{.packages = std::move(package)};
  Origin origin = OriginOf(push, options_.rules, Rules::kUser);
  Outgoing outgoing = two ? Outgoing({}, std::move(lane), std::move(origin))
                          : Outgoing(std::move(lane), {}, std::move(origin));
  const Taken taken = SendAlone(sink_, slot, channel.format, outgoing);
  const bool sent = taken != Taken::kDropped;
  AddFate(push.extras.get(), taken);
  counts_.key_pushes.Add();
  (sent ? counts_.deliveries : counts_.dropped).Add();
  if (!sent && two) sink_.Missed(slot, MissOf(push, Miss::Why::kSlow));
  return sent ? Pushed::kQueued : Pushed::kDropped;
}

Pushed Hub::Impl::PushAll(const Push& push, double rate, std::function<void(std::size_t)> done) {
  owner_.Check();
  if (!broadcasts_.Add(push, rate, std::move(done))) {
    AddFate(push.extras.get(), &Fate::overflow);
    return Pushed::kDropped;
  }
  counts_.broadcasts.Add();
  return Pushed::kQueued;
}

bool Hub::Impl::Flush(std::int64_t budget_us) {
  owner_.Check();
  assert(!flushing_);
  flushing_ = true;
  std::int64_t now = options_.now_us();
  const std::int64_t end = now + budget_us;
  bool worked = true;
  do {
    Tally tally{.now_us = now};
    worked = TurnRooms(&tally);
    worked = broadcasts_.Turn(now, options_.sends_per_turn, &tally) || worked;
    Count(tally);
    now = options_.now_us();
  } while (worked && now < end);
  flushing_ = false;
  return rooms_.anything_listed() || broadcasts_.Ready(now);
}

// Small rooms share a turn; a big one gets the rest of it and goes to the end of the list.
bool Hub::Impl::TurnRooms(Tally* tally) {
  rooms_.ReleaseDue(tally->now_us);
  const bool any = rooms_.anything_listed();
  while (rooms_.anything_listed() && tally->visits < options_.sends_per_turn) {
    if (rooms_.HoldNext(tally->now_us)) {
      counts_.widened.Add();
      continue;
    }
    Room& room = rooms_.At(rooms_.NextListed());
    rooms_.Rotate(room.Walk(limits_, options_.sends_per_turn, sink_, counts_, tally));
  }
  return any;
}

void Hub::Impl::Count(const Tally& tally) {
  pending_bytes_ -= tally.begun;
  if (tally.delivered > 0) counts_.deliveries.Add(tally.delivered);
  if (tally.dropped > 0) counts_.dropped.Add(tally.dropped);
  if (tally.excluded > 0) counts_.excluded.Add(tally.excluded);
}

Hub::Hub(const HubOptions& options, Sink& sink)
    : impl_(std::make_unique<Impl>(*this, options, sink)) {}
Hub::~Hub() = default;

void Hub::Enter(Slot slot,
                Format format,
                const Key& key,
                const std::vector<std::int32_t>& accepts) {
  impl_->Enter(slot, format, key, accepts);
}

void Hub::Leave(Slot slot) { impl_->Leave(slot); }

bool Hub::Has(Slot slot) const { return impl_->channels_.Find(slot) != nullptr; }

bool Hub::Is(Slot slot, std::string_view key) const {
  const Channel* channel = impl_->channels_.Find(slot);
  return channel != nullptr && channel->key.Is(key);
}

std::string Hub::KeyOf(Slot slot) const { return impl_->Here(slot).key.Text(); }

void Hub::Watch(Slot slot, const std::vector<std::int32_t>& operations) {
  Channel& channel = impl_->Here(slot);
  channel.accepts = impl_->accepts_.With(channel.accepts, operations);
}

void Hub::Unwatch(Slot slot, const std::vector<std::int32_t>& operations) {
  Channel& channel = impl_->Here(slot);
  channel.accepts = impl_->accepts_.Without(channel.accepts, operations);
}

Hub::Change Hub::Join(Slot slot, const RoomId& room) { return impl_->Join(slot, room); }

bool Hub::LeaveRoom(Slot slot) { return impl_->LeaveRoom(slot); }

std::string_view Hub::RoomOf(Slot slot) const {
  const Channel* channel = impl_->channels_.Find(slot);
  if (channel == nullptr || channel->room == kNoRoom) return {};
  return impl_->rooms_.At(channel->room).id();
}

bool Hub::LeaveRoom(Slot slot, std::string_view room) { return impl_->LeaveRoom(slot, room); }

bool Hub::In(Slot slot, std::string_view room) const {
  const Channel* channel = impl_->channels_.Find(slot);
  const auto number = impl_->rooms_.NumberOf(room);
  return channel != nullptr && number && impl_->In(*channel, *number);
}

std::vector<std::string> Hub::RoomsOf(Slot slot) const {
  const Channel& channel = impl_->Here(slot);
  std::vector<std::string> rooms;
  if (!IsTwo(channel.format)) {
    if (channel.room != kNoRoom) rooms.push_back(impl_->rooms_.At(channel.room).id());
    return rooms;
  }
  for (const Places::Place& place : impl_->places_.Of(channel.position))
    rooms.push_back(impl_->rooms_.At(place.room).id());
  return rooms;
}

std::size_t Hub::RoomCount(Slot slot) const {
  const Channel& channel = impl_->Here(slot);
  if (!IsTwo(channel.format)) return channel.room == kNoRoom ? 0 : 1;
  return impl_->places_.Of(channel.position).size();
}

std::vector<Slot> Hub::Members(std::string_view room, std::size_t* end, std::size_t most) const {
  const auto number = impl_->rooms_.NumberOf(room);
  if (!number) return {};
  return impl_->rooms_.At(*number).SlotsBefore(end, most);
}

std::size_t Hub::MembersHere(std::string_view room) const {
  const auto number = impl_->rooms_.NumberOf(room);
  return number ? impl_->rooms_.At(*number).size() : 0;
}

void Hub::EachRoom(
    const std::function<void(std::string_view room, std::size_t members)>& visit) const {
  impl_->rooms_.Each([&visit](const Room& room) { visit(room.id(), room.size()); });
}

Pushed Hub::PushRoom(std::string_view room, const Push& push) {
  return impl_->PushRoom(room, push);
}

Pushed Hub::PushKey(Slot slot, const Push& push) { return impl_->PushKey(slot, push); }

Pushed Hub::PushAll(const Push& push, double rate, std::function<void(std::size_t)> done) {
  return impl_->PushAll(push, rate, std::move(done));
}

bool Hub::Flush(std::int64_t budget_us) { return impl_->Flush(budget_us); }

std::int64_t Hub::NextPaceMs(std::int64_t now_ms) const {
  const std::int64_t broadcast_ms = impl_->broadcasts_.NextPaceMs(now_ms);
  const std::int64_t release_us = impl_->rooms_.NextReleaseUs();
  if (release_us < 0) return broadcast_ms;
  const std::int64_t room_ms = std::max<std::int64_t>((release_us + 999) / 1000 - now_ms, 0);
  return broadcast_ms < 0 ? room_ms : std::min(broadcast_ms, room_ms);
}

std::size_t Hub::size() const { return impl_->channels_.size(); }
std::size_t Hub::rooms() const { return impl_->rooms_.size(); }
HubCounts& Hub::counts() { return impl_->counts_; }

std::size_t Hub::BytesUsed() const {
  return impl_->channels_.BytesUsed() + impl_->places_.BytesUsed() + impl_->accepts_.BytesUsed() +
         impl_->rooms_.BytesUsed() + impl_->broadcasts_.BytesUsed() + impl_->pending_bytes_;
}

}  // namespace encke::hub

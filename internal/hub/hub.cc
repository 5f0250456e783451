#include "hub/hub.h"

#include <cassert>
#include <utility>

#include "base/threads.h"
#include "hub/batch.h"
#include "hub/broadcast.h"
#include "hub/channels.h"
#include "hub/room.h"

namespace encke::hub {
namespace {

constexpr std::size_t kSendsPerTurn = 32;  // then the clock is looked at and the next room goes on

}  // namespace

class Hub::Impl {
 public:
  Impl(const Hub& hub, const HubOptions& options, Sink& sink)
      : hub_(hub),
        options_(options),
        limits_{options.batch_bytes_max, options.batch_messages_max, options.renumber_at},
        sink_(sink),
        accepts_(options.accepts_max),
        rooms_(options.rooms_max),
        broadcasts_(options.broadcasts_max, channels_, accepts_, sink) {}

  void Enter(Slot slot, Format format, const Key& key, const std::vector<std::int32_t>& accepts);
  void Leave(Slot slot);
  Channel& Here(Slot slot);

  Change Join(Slot slot, const RoomId& id);
  bool LeaveRoom(Slot slot);

  Pushed PushRoom(std::string_view id, std::int32_t op, std::string_view body);
  Pushed PushKey(Slot slot, std::int32_t op, std::string_view body);
  Pushed PushAll(std::int32_t op,
                 std::string_view body,
                 double rate,
                 std::function<void(std::size_t)> done);
  bool Flush(std::int64_t budget_us);

  const Hub& hub_;  // for on_presence
  const HubOptions options_;
  const BatchLimits limits_;
  Sink& sink_;
  HubCounts counts_;
  ThreadOwner owner_;

  Channels channels_;
  AcceptSets accepts_;
  Rooms rooms_;
  Broadcasts broadcasts_;
  std::size_t pending_bytes_ = 0;  // in gathering batches
  bool flushing_ = false;

 private:
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
  channel.accepts = accepts_.Take(accepts);
}

void Hub::Impl::Leave(Slot slot) {
  LeaveRoom(slot);
  accepts_.Release(Here(slot).accepts);
  channels_.Remove(slot);
}

Channel& Hub::Impl::Here(Slot slot) {
  owner_.Check();
  Channel* channel = channels_.Find(slot);
  assert(channel != nullptr);
  return *channel;
}

Hub::Change Hub::Impl::Join(Slot slot, const RoomId& id) {
  Channel& channel = Here(slot);
  if (channel.room != kNoRoom && rooms_.At(channel.room).id() == id.value()) return {};
  const auto number = rooms_.FindOrMake(id.value());
  if (!number) return {.refused = true};
  LeaveRoom(slot);
  Room& room = rooms_.At(*number);
  channel.room = *number;
  channel.position = rooms_.AddMember(*number, slot, channel.format);
  const bool first = room.size() == 1;
  if (first) TellPresence(room, true);
  return {.first = first};
}

bool Hub::Impl::LeaveRoom(Slot slot) {
  Channel& channel = Here(slot);
  if (channel.room == kNoRoom) return false;
  const std::uint32_t number = std::exchange(channel.room, kNoRoom);
  Room& room = rooms_.At(number);
  rooms_.RemoveMember(number, channel.position, [this](Slot moved, std::uint32_t position) {
    channels_.At(moved).position = position;
  });
  if (room.size() > 0) return false;
  TellPresence(room, false);
  rooms_.Retire(number);
  return true;
}

Pushed Hub::Impl::PushRoom(std::string_view id, std::int32_t op, std::string_view body) {
  owner_.Check();
  const auto number = rooms_.NumberOf(id);
  if (!number || rooms_.At(*number).size() == 0) return Pushed::kNobody;
  const std::size_t bytes = PushBytes(body);
  if (pending_bytes_ + bytes > options_.pending_bytes_max) return Pushed::kDropped;
  pending_bytes_ += bytes;
  rooms_.At(*number).Gather(limits_, op, body);
  rooms_.List(*number);
  counts_.room_pushes.Add();
  return Pushed::kQueued;
}

Pushed Hub::Impl::PushKey(Slot slot, std::int32_t op, std::string_view body) {
  owner_.Check();
  const Channel* channel = channels_.Find(slot);
  if (channel == nullptr) return Pushed::kNobody;
  if (!accepts_.Has(channel->accepts, op)) return Pushed::kFiltered;
  std::string package;
  package.reserve(PushBytes(body));
  AppendPush(&package, op, body);
  Outgoing outgoing(std::move(package));
  const Taken taken = sink_.Send(slot, outgoing.As(channel->format), 1);
  counts_.key_pushes.Add();
  (taken == Taken::kSent ? counts_.deliveries : counts_.dropped).Add();
  return taken == Taken::kSent ? Pushed::kQueued : Pushed::kDropped;
}

Pushed Hub::Impl::PushAll(std::int32_t op,
                          std::string_view body,
                          double rate,
                          std::function<void(std::size_t)> done) {
  owner_.Check();
  if (!broadcasts_.Add(op, body, rate, std::move(done))) return Pushed::kDropped;
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
    Tally tally;
    worked = TurnRooms(&tally);
    worked = broadcasts_.Turn(now, kSendsPerTurn, &tally) || worked;
    Count(tally);
    now = options_.now_us();
  } while (worked && now < end);
  flushing_ = false;
  return rooms_.anything_listed() || broadcasts_.Ready(now);
}

// Small rooms share a turn; a big one gets the rest of it and goes to the end of the list.
bool Hub::Impl::TurnRooms(Tally* tally) {
  const bool any = rooms_.anything_listed();
  while (rooms_.anything_listed() && tally->visits < kSendsPerTurn) {
    Room& room = rooms_.At(rooms_.NextListed());
    rooms_.Rotate(room.Walk(limits_, kSendsPerTurn, sink_, counts_, tally));
  }
  return any;
}

void Hub::Impl::Count(const Tally& tally) {
  pending_bytes_ -= tally.begun;
  if (tally.delivered > 0) counts_.deliveries.Add(tally.delivered);
  if (tally.dropped > 0) counts_.dropped.Add(tally.dropped);
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

std::size_t Hub::MembersHere(std::string_view room) const {
  const auto number = impl_->rooms_.NumberOf(room);
  return number ? impl_->rooms_.At(*number).size() : 0;
}

void Hub::EachRoom(
    const std::function<void(std::string_view room, std::size_t members)>& visit) const {
  impl_->rooms_.Each([&visit](const Room& room) { visit(room.id(), room.size()); });
}

Pushed Hub::PushRoom(std::string_view room, std::int32_t op, std::string_view body) {
  return impl_->PushRoom(room, op, body);
}

Pushed Hub::PushKey(Slot slot, std::int32_t op, std::string_view body) {
  return impl_->PushKey(slot, op, body);
}

Pushed Hub::PushAll(std::int32_t op,
                    std::string_view body,
                    double rate,
                    std::function<void(std::size_t)> done) {
  return impl_->PushAll(op, body, rate, std::move(done));
}

bool Hub::Flush(std::int64_t budget_us) { return impl_->Flush(budget_us); }

std::int64_t Hub::NextPaceMs(std::int64_t now_ms) const {
  return impl_->broadcasts_.NextPaceMs(now_ms);
}

std::size_t Hub::size() const { return impl_->channels_.size(); }
std::size_t Hub::rooms() const { return impl_->rooms_.size(); }
HubCounts& Hub::counts() { return impl_->counts_; }

std::size_t Hub::BytesUsed() const {
  return impl_->channels_.BytesUsed() + impl_->accepts_.BytesUsed() + impl_->rooms_.BytesUsed() +
         impl_->broadcasts_.BytesUsed() + impl_->pending_bytes_;
}

}  // namespace encke::hub

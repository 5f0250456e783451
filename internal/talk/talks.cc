#include "talk/talks.h"

#include <algorithm>
#include <cassert>
#include <random>
#include <utility>

#include "wire/op.h"

namespace encke::talk {
namespace {

std::uint64_t RandomBoot() {
  std::random_device random;
  return std::uint64_t{random()} << 32 | random();
}

// Policies may give up older pushes after newer ones.  Of several epochs the last is told: whoever
// syncs learns the rest.
void Add(const hub::Miss& miss, Lost* lost) {
  lost->pushes += miss.lost;
  if (miss.from == 0) return;
  const bool same = lost->epoch == miss.epoch && lost->from > 0;
  lost->from = same ? std::min(lost->from, miss.from) : miss.from;
  lost->to = same ? std::max(lost->to, miss.to) : miss.to;
  lost->epoch = miss.epoch;
}

template <class List, class Value>
bool Contains(const List& list, const Value& value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

}  // namespace

Talks::Talks(const TalkOptions& options,
             std::uint32_t shard,
             Host& host,
             hub::Hub& hub,
             uplink::LogicPort& logic)
    : options_(options), shard_(shard), host_(host), hub_(hub), logic_(logic), boot_(RandomBoot()) {
  assert(shard < uplink::AskId::kShardsMax);
}

void Talks::OnPackage(hub::Slot slot, const wire::Package& package) {
  host_.Beat(slot);
  switch (package.op) {
    case wire::kOpConnect:
      return host_.End(slot, Ending::kSecondConnect);
    case wire::kOpJoin:
      return OnJoin(slot, package);
    case wire::kOpLeave:
      return OnLeave(slot, package);
    case wire::kOpPublish:
      return OnPublish(slot, package);
    case wire::kOpAck:
      return OnAck(slot, package);
    case wire::kOpSync:
      return OnSync(slot, package);
    case wire::kOpBeat:
      return OnBeat(slot, package);
    default:
      stats_.errors.Add();
      return Answer(slot, wire::kOpError, package.seq,
                    ErrorOf(client::Error::INVALID, "op", "no such operation"));
  }
}

// ---- questions to logic -------------------------------------------------------------------------

// `then` is called exactly once, unless the client leaves before; perhaps at once.
void Talks::Ask(hub::Slot slot, Request request, Then then) {
  request.set_id(std::uint64_t{shard_} << (64 - kShardBits) | ++asked_);
  request.set_mid(host_.MidOf(slot));
  request.set_key(hub_.KeyOf(slot));
  request.set_device(host_.GuestOf(slot)->device);
  const std::uint64_t id = request.id();
  if (waiting_.size() < options_.waiting_max && logic_.Ask(std::move(request))) {
    waiting_[id] = {slot, host_.SerialOf(slot), std::move(then)};
    return;
  }
  stats_.waiting_full.Add();
  Reply full;
  full.set_error("too many wait");
  full.set_retry(true);
  then(slot, full);
}

void Talks::OnReply(const Reply& reply) {
  const auto at = waiting_.find(reply.id());
  if (at == waiting_.end()) return;
  const Waiting waiting = std::move(at->second);
  waiting_.erase(at);
  if (!host_.Alive(waiting.slot, waiting.serial)) return stats_.answers_late.Add();
  waiting.then(waiting.slot, reply);
}

void Talks::AskHeads(hub::Slot slot, const std::vector<std::string>& timelines, Then then) {
  if (timelines.empty()) return then(slot, {});
  Request request;
  for (const std::string& timeline : timelines)
    request.mutable_heads()->add_timelines(timeline);
  Ask(slot, std::move(request), std::move(then));
}

// The client's requests without an answer.
void Talks::Count(hub::Slot slot, bool more) {
  Guest& guest = *host_.GuestOf(slot);
  assert(more || guest.asked > 0);
  guest.asked += more ? 1 : -1;
  Rehold(slot);
}

void Talks::Rehold(hub::Slot slot) {
  const Guest& guest = *host_.GuestOf(slot);
  host_.Hold(slot, guest.joining > 0 || guest.asked >= options_.requests_max);
}

void Talks::Answer(hub::Slot slot,
                   std::int32_t op,
                   std::int32_t seq,
                   const google::protobuf::MessageLite& body) {
  if (!host_.Say(slot, op, seq, body.SerializeAsString())) host_.End(slot, Ending::kUnread);
}

// ---- what was not sent --------------------------------------------------------------------------

bool Talks::Excluded(hub::Slot slot, const hub::Extras& extras) const {
  if (Contains(extras.not_mids, host_.MidOf(slot))) return true;
  if (!extras.not_keys.empty() && Contains(extras.not_keys, hub_.KeyOf(slot))) return true;
  const Guest* guest = host_.GuestOf(slot);
  return guest != nullptr && !guest->platform.empty() &&
         Contains(extras.not_platforms, guest->platform);
}

void Talks::Missed(hub::Slot slot, const hub::Miss& miss) {
  Guest* guest = host_.GuestOf(slot);
  if (guest == nullptr) return;
  client::Gap gap;
  gap.set_room(std::string(miss.room));
  gap.set_epoch(miss.epoch);
  gap.set_from(miss.from);
  gap.set_to(miss.to);
  gap.set_reason(client::Gap::EXCLUDED);
  gap.set_lost(miss.lost);
  const bool excluded = miss.why == hub::Miss::Why::kExcluded;
  if (excluded && host_.Say(slot, wire::kOpGap, 0, gap.SerializeAsString()))
    return stats_.excluded_told.Add();
  Add(miss, &guest->gaps[gap.room()]);
}

void Talks::TellGaps(hub::Slot slot) {
  Guest& guest = *host_.GuestOf(slot);
  while (!guest.gaps.empty()) {
    const auto& [room, lost] = *guest.gaps.begin();
    client::Gap gap;
    gap.set_room(room);
    gap.set_epoch(lost.epoch);
    gap.set_from(lost.from);
    gap.set_to(lost.to);
    gap.set_reason(client::Gap::SLOW);
    gap.set_lost(lost.pushes);
    if (!host_.Say(slot, wire::kOpGap, 0, gap.SerializeAsString())) return;
    stats_.gaps.Add();
    guest.gaps.erase(guest.gaps.begin());
  }
}

void Talks::OnDrained(hub::Slot slot) {
  const Guest* guest = host_.GuestOf(slot);
  if (guest == nullptr || !guest->welcome) return;
  TellGaps(slot);
  NextSync(slot);
}

}  // namespace encke::talk

#include "downlink/delivery.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/log.h"
#include "downlink/push_door.h"
#include "downlink/reports.h"
#include "hub/room.h"

namespace encke::downlink {
namespace {

// It borrows from the order.
hub::Push PushOf(const Order& order) {
  const PushMsg& push = order.push;
  return {.what = {.op = push.operation(),
                   .body = push.msg(),
                   .room = push.room(),
                   .epoch = push.epoch(),
                   .seq = push.seq(),
                   .id = push.id(),
                   .time_us = push.accepted_us(),
                   .from_mid = push.from_mid(),
                   .client_id = push.client_id()},
          .extras = order.extras,
          .expires_us = push.expires_us(),
          .conflate = push.conflate()};
}

// True: the key is still in its slot.
bool Here(const Order& order, const Step& step, ShardPort& port, PushDoorCounts& counts) {
  if (port.hub().Is(step.slot, order.push.keys(static_cast<int>(step.key)))) return true;
  counts.unknown_keys.Add();  // left meanwhile, or shares a hash with one who is here
  hub::AddFate(order.extras.get(), &hub::Fate::unknown);
  return false;
}

hub::Pushed ToKey(const Order& order, const Step& step, ShardPort& port, PushDoorCounts& counts) {
  if (!Here(order, step, port, counts)) return hub::Pushed::kNobody;
  hub::Push push = PushOf(order);
  const std::string inbox = "user://" + std::to_string(order.push.mid());
  if (push.what.seq > 0) push.what.room = inbox;
  return port.hub().PushKey(step.slot, push);
}

// Connections that would have got it.
std::size_t Concerned(const Order& order,
                      const Step& step,
                      ShardPort& port,
                      PushDoorCounts& counts) {
  if (order.push.type() == PushMsg::PUSH) return Here(order, step, port, counts) ? 1 : 0;
  if (order.push.type() == PushMsg::ROOM) return port.hub().MembersHere(order.push.room());
  return port.hub().size();
}

// Each shard gets the part of the rate that its channels are of all channels.
hub::Pushed ToAll(const Order& order, double rate, std::size_t channels, hub::Hub& hub) {
  if (hub.size() == 0) return hub::Pushed::kNobody;
  if (!(rate > 0)) return hub.PushAll(PushOf(order), 0, nullptr);
  const auto here = static_cast<double>(hub.size());
  const double share = here / std::max(here, static_cast<double>(channels));
  return hub.PushAll(PushOf(order), rate * share, [id = order.push.id()](std::size_t reached) {
    log::Info("broadcast.done push={} reached={}", id, reached);
  });
}

void Kick(const Order& order, const Step& step, ShardPort& port, PushDoorCounts& counts) {
  if (order.push.keys().empty()) {
    for (const hub::Slot slot : port.hub().Members(order.push.room()))
      port.Kick(slot, order.push.msg());
  } else if (Here(order, step, port, counts)) {
    port.Kick(step.slot, order.push.msg());
  }
}

bool Command(const Order& order, const Step& step, ShardPort& port, PushDoorCounts& counts) {
  switch (order.push.type()) {
    case PushMsg::KICK:
      Kick(order, step, port, counts);
      return true;
    case PushMsg::JOIN:
      if (Here(order, step, port, counts)) port.Join(step.slot, order.push.room());
      return true;
    case PushMsg::LEAVE:
      if (Here(order, step, port, counts)) port.Leave(step.slot, order.push.room());
      return true;
    default:
      return false;
  }
}

hub::Pushed Push(const Order& order,
                 const Step& step,
                 std::size_t channels,
                 ShardPort& port,
                 PushDoorCounts& counts) {
  if (order.push.type() == PushMsg::PUSH) return ToKey(order, step, port, counts);
  if (order.push.type() == PushMsg::ROOM)
    return port.hub().PushRoom(order.push.room(), PushOf(order));
  return ToAll(order, step.rate, channels, port.hub());
}

void Count(hub::Pushed pushed, const PushMsg& push, std::int64_t now_us, PushDoorCounts& counts) {
  switch (pushed) {
    case hub::Pushed::kNobody:
    case hub::Pushed::kRepeat:
      return;
    case hub::Pushed::kFiltered:
      return counts.filtered.Add();
    case hub::Pushed::kDropped:
      return counts.dropped.Add();
    case hub::Pushed::kQueued:
      break;
  }
  if (push.accepted_us() == 0) return;
  counts.delay_us.Observe(
      static_cast<std::uint64_t>(std::max<std::int64_t>(now_us - push.accepted_us(), 0)));
}

}  // namespace

Order OrderOf(PushMsg push, Reports* reports) {
  Order order{.push = std::move(push)};
  const PushMsg& kept = order.push;
  const bool excludes = !kept.exclude_keys().empty() || !kept.exclude_mids().empty() ||
                        !kept.exclude_platforms().empty();
  const bool reported = kept.report() && reports != nullptr;
  if (!excludes && !reported) return order;
  auto extras = std::make_shared<hub::Extras>();
  extras->not_keys.assign(kept.exclude_keys().begin(), kept.exclude_keys().end());
  extras->not_mids.assign(kept.exclude_mids().begin(), kept.exclude_mids().end());
  extras->not_platforms.assign(kept.exclude_platforms().begin(), kept.exclude_platforms().end());
  if (reported) extras->fate = reports->Open(kept.id());
  order.extras = std::move(extras);
  return order;
}

void Deliver(const Order& order,
             const Step& step,
             std::size_t channels,
             std::int64_t now_us,
             ShardPort& port,
             PushDoorCounts& counts) {
  if (Command(order, step, port, counts)) return counts.commands.Add();
  if (order.push.expires_us() > 0 && now_us > order.push.expires_us()) {
    hub::AddFate(order.extras.get(), &hub::Fate::expired, Concerned(order, step, port, counts));
    return counts.expired.Add();
  }
  Count(Push(order, step, channels, port, counts), order.push, now_us, counts);
}

}  // namespace encke::downlink

#include "push/lanes.h"

#include <algorithm>
#include <cassert>
#include <memory>
#include <utility>

#include "bus/push_log.h"

namespace encke::push {
namespace {

// One entry, and whom it answers.
std::string PayloadOf(std::vector<Lanes::Item>& items) {
  std::vector<std::string> payloads;
  payloads.reserve(items.size());
  for (Lanes::Item& item : items)
    payloads.push_back(std::move(item.payload));
  std::vector<std::string> entries = bus::Bundle(std::move(payloads));
  assert(entries.size() == 1);
  return std::move(entries.front());
}

}  // namespace

Lanes::Lanes(int partitions,
             std::size_t in_flight_max,
             Publish publish,
             std::function<std::int64_t()> now_us)
    : in_flight_max_(in_flight_max), publish_(std::move(publish)), now_us_(std::move(now_us)) {
  state_.With([&](State& s) { s.lanes = std::vector<Lane>(static_cast<std::size_t>(partitions)); });
}

void Lanes::Put(int partition, std::vector<Item> items) {
  const std::size_t before = in_flight_.fetch_add(items.size());
  if (before > 0 && before + items.size() > in_flight_max_) {
    in_flight_ -= items.size();
    for (const Item& item : items)
      item.done(Error{Errc::kOverloaded, "too many pushes in flight"});
    return;
  }
  state_.With([&](State& s) {
    Lane& lane = s.lanes[static_cast<std::size_t>(partition)];
    for (Item& item : items) {
      lane.alone += item.alone ? 1 : 0;
      lane.waiting.push_back(std::move(item));
    }
    Queue(s, partition);
  });
  Drain();
}

void Lanes::Drain() {
  for (;;) {
    Entry entry = state_.With([this](State& s) { return Next(s); });
    if (entry.items.empty()) return;
    const int partition = entry.partition;
    Send(std::move(entry));
    state_.With([partition](State& s) {
      s.lanes[static_cast<std::size_t>(partition)].leaving = false;
      Queue(s, partition);
    });
  }
}

void Lanes::Queue(State& state, int partition) {
  Lane& lane = state.lanes[static_cast<std::size_t>(partition)];
  if (lane.queued || lane.leaving || lane.waiting.empty()) return;
  if (lane.under_way > 0 && lane.alone == 0) return;
  lane.queued = true;
  state.ready.push_back(partition);
}

// Whatever stays ready here leaves with a later answer: there are entries under way.
Lanes::Entry Lanes::Next(State& state) const {
  if (state.ready.empty()) return {};
  const int partition = state.ready.front();
  Lane& lane = state.lanes[static_cast<std::size_t>(partition)];
  if (!Pay(state) && state.under_way > 0 && lane.alone == 0) return {};
  state.ready.pop_front();
  lane.queued = false;
  lane.leaving = true;
  ++lane.under_way;
  ++state.under_way;
  return {partition, TakeFrom(lane)};
}

// False: entries leave too fast.
bool Lanes::Pay(State& state) const {
  const std::int64_t now_us = now_us_();
  const std::int64_t paid_us = std::max(state.paid_us, now_us - kBurst * kEntryUs) + kEntryUs;
  if (paid_us > now_us) return false;
  state.paid_us = paid_us;
  return true;
}

// The pushes of the next entry.
std::vector<Lanes::Item> Lanes::TakeFrom(Lane& lane) {
  std::vector<Item> next;
  std::size_t bytes = 0;
  do {
    Item& item = lane.waiting.front();
    bytes += item.payload.size();
    if (!next.empty() && (item.alone || bytes > bus::kBundleBytesMax)) break;
    lane.alone -= item.alone ? 1 : 0;
    next.push_back(std::move(item));
    lane.waiting.pop_front();
  } while (!next.back().alone && !lane.waiting.empty() && next.size() < bus::kBundlePushesMax);
  return next;
}

void Lanes::Send(Entry entry) {
  const int partition = entry.partition;
  const std::string id = entry.items.front().id;
  std::string payload = PayloadOf(entry.items);
  const auto carried = std::make_shared<std::vector<Item>>(std::move(entry.items));
  publish_(partition, id, std::move(payload), [this, partition, carried](const auto& stored) {
    state_.With([partition](State& s) {
      --s.lanes[static_cast<std::size_t>(partition)].under_way;
      --s.under_way;
      Queue(s, partition);
    });
    Drain();
    for (const Item& item : *carried)
      item.done(stored ? Status(Ok{}) : Status(stored.error()));
    in_flight_ -= carried->size();
  });
}

}  // namespace encke::push

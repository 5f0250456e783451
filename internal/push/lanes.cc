#include "push/lanes.h"

#include <cassert>
#include <memory>
#include <utility>

#include "bus/push_log.h"

namespace encke::push {
namespace {

// One entry, and whom it answers.
std::string EntryOf(std::vector<Lanes::Item>& items) {
  std::vector<std::string> payloads;
  payloads.reserve(items.size());
  for (Lanes::Item& item : items)
    payloads.push_back(std::move(item.payload));
  std::vector<std::string> entries = bus::Bundle(std::move(payloads));
  assert(entries.size() == 1);
  return std::move(entries.front());
}

}  // namespace

Lanes::Lanes(int partitions, std::size_t in_flight_max, Publish publish)
    : in_flight_max_(in_flight_max),
      publish_(std::move(publish)),
      lanes_(static_cast<std::size_t>(partitions)) {}

void Lanes::Put(int partition, std::vector<Item> items) {
  const std::size_t before = in_flight_.fetch_add(items.size());
  if (before > 0 && before + items.size() > in_flight_max_) {
    in_flight_ -= items.size();
    for (const Item& item : items)
      item.done(Error{Errc::kOverloaded, "too many pushes in flight"});
    return;
  }
  lanes_[static_cast<std::size_t>(partition)].With([&](Lane& lane) {
    for (Item& item : items) {
      lane.alone += item.alone ? 1 : 0;
      lane.waiting.push_back(std::move(item));
    }
  });
  Drain(partition);
}

void Lanes::Drain(int partition) {
  auto& lane = lanes_[static_cast<std::size_t>(partition)];
  for (;;) {
    std::vector<Item> next = lane.With(Next);
    if (next.empty()) return;
    Send(partition, std::move(next));
    lane.With([](Lane& l) { l.leaving = false; });
  }
}

// The pushes of the next entry; none when it is not time, or somebody else's business.
std::vector<Lanes::Item> Lanes::Next(Lane& lane) {
  std::vector<Item> next;
  if (lane.leaving || lane.waiting.empty()) return next;
  if (lane.under_way >= kUnderWay && lane.alone == 0) return next;
  std::size_t bytes = 0;
  do {
    Item& item = lane.waiting.front();
    bytes += item.payload.size();
    if (!next.empty() && (item.alone || bytes > bus::kBundleBytesMax)) break;
    lane.alone -= item.alone ? 1 : 0;
    next.push_back(std::move(item));
    lane.waiting.pop_front();
  } while (!next.back().alone && !lane.waiting.empty() && next.size() < bus::kBundlePushesMax);
  lane.leaving = true;
  ++lane.under_way;
  return next;
}

void Lanes::Send(int partition, std::vector<Item> items) {
  const std::string id = items.front().id;
  std::string entry = EntryOf(items);
  const auto carried = std::make_shared<std::vector<Item>>(std::move(items));
  publish_(partition, id, std::move(entry), [this, partition, carried](const auto& stored) {
    lanes_[static_cast<std::size_t>(partition)].With([](Lane& lane) { --lane.under_way; });
    Drain(partition);
    for (const Item& item : *carried)
      item.done(stored ? Status(Ok{}) : Status(stored.error()));
    in_flight_ -= carried->size();
  });
}

}  // namespace encke::push

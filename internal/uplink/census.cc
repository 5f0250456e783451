#include "uplink/census.h"

#include <algorithm>

namespace encke::uplink {

void Census::Add(const std::string& room, std::int32_t members) {
  if (members == 0) return;
  StripeOf(room).With([&](Stripe& s) {
    Room& r = s.rooms[room];
    r.here += members;
    assert(r.here >= 0);
    if (!r.changed) s.changed.push_back(room);
    r.changed = true;
  });
}

bool Census::Take(std::size_t bytes_max, RoomCounts* out) {
  std::size_t bytes = 0;
  bool any = false;
  for (auto& stripe : stripes_) {
    stripe.With([&](Stripe& s) {
      while (!s.changed.empty() && bytes < bytes_max) {
        const std::string room = std::move(s.changed.back());
        s.changed.pop_back();
        const auto at = s.rooms.find(room);
        (*out->mutable_counts())[room] = at->second.here;
        bytes += room.size() + 16;
        any = true;
        at->second.changed = false;
        if (at->second.here == 0) s.rooms.erase(at);
      }
    });
  }
  return any;
}

void Census::MarkAll() {
  for (auto& stripe : stripes_) {
    stripe.With([](Stripe& s) {
      for (auto& [room, r] : s.rooms) {
        if (!r.changed) s.changed.push_back(room);
        r.changed = true;
      }
    });
  }
}

bool Census::changed() const {
  return std::any_of(stripes_.begin(), stripes_.end(), [](const Guarded<Stripe>& stripe) {
    return stripe.With([](const Stripe& s) { return !s.changed.empty(); });
  });
}

void Census::SetTotal(const std::string& room, std::int32_t total) {
  StripeOf(room).With([&](Stripe& s) {
    const auto at = s.rooms.find(room);
    if (at != s.rooms.end()) at->second.total = total;
  });
}

std::int32_t Census::Online(const std::string& room) const {
  return StripeOf(room).With([&](const Stripe& s) {
    const auto at = s.rooms.find(room);
    return at == s.rooms.end() ? 0 : std::max(at->second.total, at->second.here);
  });
}

std::size_t Census::rooms() const {
  std::size_t sum = 0;
  for (const auto& stripe : stripes_) {
    sum += stripe.With([](const Stripe& s) { return s.rooms.size(); });
  }
  return sum;
}

}  // namespace encke::uplink

#include "presence/presence.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "base/log.h"
#include "base/threads.h"

namespace encke::presence {

namespace {

std::int64_t Micros(Duration time) { return time.count() * 1000; }

}  // namespace

void Liveness::Update(const std::vector<Instance>& comets, std::int64_t now_us) {
  std::unordered_set<ServerId> alive;
  for (const Instance& comet : comets)
    alive.insert(ServerId(comet.id()));
  for (const ServerId& before : alive_)
    if (alive.count(before) == 0) absent_since_us_.try_emplace(before, now_us);
  for (const ServerId& now : alive)
    absent_since_us_.erase(now);
  alive_ = std::move(alive);
}

bool Liveness::Dead(const store::Place& place, std::int64_t now_us) {
  if (alive_.count(place.server) > 0) return false;
  const std::int64_t since = absent_since_us_.try_emplace(place.server, now_us).first->second;
  const auto written_us = static_cast<std::int64_t>(place.generation);
  return now_us - since >= Micros(kGrace) && written_us < since + Micros(kClockSkew);
}

std::int64_t RoomTotals::VersionOf(const ServerId& comet) const {
  const auto found = tables_.find(comet);
  return found == tables_.end() ? -1 : found->second.version;
}

void RoomTotals::Put(const ServerId& comet, store::Online::Seen seen) {
  tables_[comet] = std::move(seen);
  changed_ = true;
}

void RoomTotals::Keep(const std::unordered_set<ServerId>& comets) {
  const auto erased =
      std::erase_if(tables_, [&](const auto& entry) { return comets.count(entry.first) == 0; });
  if (erased > 0) changed_ = true;
}

RoomTotals::Sum RoomTotals::Get() {
  if (!changed_) return sum_;
  auto sum = std::make_shared<store::RoomTable>();
  for (const auto& [comet, seen] : tables_)
    for (const auto& [room, count] : seen.rooms)
      (*sum)[room] += count;
  sum_ = std::move(sum);
  changed_ = false;
  return sum_;
}

std::vector<std::pair<std::string, std::int32_t>> LargestRooms(const store::RoomTable& rooms,
                                                               std::string_view prefix,
                                                               std::size_t limit) {
  std::vector<std::pair<std::string_view, std::int32_t>> found;
  for (const auto& [room, count] : rooms)
    if (room.compare(0, prefix.size(), prefix) == 0) found.emplace_back(room, count);
  const std::size_t n = std::min(limit, found.size());
  const auto larger = [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  };
  std::partial_sort(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(n), found.end(),
                    larger);
  found.resize(n);
  return {found.begin(), found.end()};
}

class Presence::Impl {
 public:
  Impl(store::Sessions& sessions,
       store::Online& online,
       bus::Registry& registry,
       const PresenceOptions& options)
      : sessions_(sessions),
        online_(online),
        registry_(registry),
        options_(options),
        thread_([this] { Run(); }) {}

  ~Impl() {
    pulse_.Stop();
    thread_.join();
  }

  OnPlaces FilterInto(OnPlaces done) {
    return [this, done = std::move(done)](Result<std::vector<store::Place>> places) {
      if (places) Filter(&*places);
      done(std::move(places));
    };
  }

  RoomTotals::Sum Rooms() const {
    return sum_.With([](const RoomTotals::Sum& sum) { return sum; });
  }

  store::Sessions& sessions() { return sessions_; }
  const bus::Registry& registry() const { return registry_; }
  const PresenceCounts& counts() const { return counts_; }

 private:
  // A registry that knows nothing yet says nothing about anybody.
  void Filter(std::vector<store::Place>* places) {
    const bool judge = registry_.synced();
    const std::int64_t now_us = WallUs();
    std::vector<store::Place> dead;
    liveness_.With([&](Liveness& liveness) {
      std::erase_if(*places, [&](const store::Place& place) {
        if (place.server.value().empty()) return true;
        if (!judge || !liveness.Dead(place, now_us)) return false;
        dead.push_back(place);
        return true;
      });
    });
    for (const store::Place& place : dead) {
      counts_.forgotten.Add();
      log::Debug("presence.forget key={} comet={}", place.key.value(), place.server.value());
      sessions_.Forget(place);
    }
  }

  void Run() {
    NameThread("presence");
    do
      Refresh();
    while (pulse_.Wait(options_.online_refresh));
  }

  // One round: every live comet's table, if it changed.  A round that is under way is not doubled.
  void Refresh() {
    if (!registry_.synced()) return;
    const std::vector<Instance> comets = registry_.List("comet");
    liveness_.With([&](Liveness& liveness) { liveness.Update(comets, WallUs()); });
    if (reads_.load() > 0) return;
    std::unordered_set<ServerId> ids;
    for (const Instance& comet : comets)
      ids.insert(ServerId(comet.id()));
    totals_.With([&](RoomTotals& totals) { totals.Keep(ids); });
    failed_ = false;
    reads_ = ids.size() + 1;  // one more: the round cannot end while it is begun
    for (const ServerId& id : ids)
      Read(id);
    EndRead();
  }

  void Read(const ServerId& comet) {
    const auto known =
        totals_.With([&](const RoomTotals& totals) { return totals.VersionOf(comet); });
    online_.Read(comet, known, [this, comet](Result<store::Online::Table> table) {
      if (!table) failed_ = true;
      if (table && table->changed) {
        totals_.With([&](RoomTotals& totals) { totals.Put(comet, std::move(table->seen)); });
      }
      EndRead();
    });
  }

  // What could be read counts; of the others the last table does.
  void EndRead() {
    if (reads_.fetch_sub(1) > 1) return;
    (failed_ ? counts_.stale : counts_.refreshes).Add();
    RoomTotals::Sum fresh = totals_.With([](RoomTotals& totals) { return totals.Get(); });
    sum_.With([&](RoomTotals::Sum& sum) { sum.swap(fresh); });
  }

  store::Sessions& sessions_;
  store::Online& online_;
  bus::Registry& registry_;
  const PresenceOptions options_;
  PresenceCounts counts_;
  Guarded<Liveness> liveness_;
  Guarded<RoomTotals> totals_;
  Guarded<RoomTotals::Sum> sum_{std::make_shared<const store::RoomTable>()};
  std::atomic<std::size_t> reads_{0};  // of this round, still to come
  std::atomic<bool> failed_{false};
  Pulse pulse_;
  std::thread thread_;  // last: it uses everything above
};

Presence::Presence(store::Sessions& sessions,
                   store::Online& online,
                   bus::Registry& registry,
                   const PresenceOptions& options)
    : impl_(std::make_unique<Impl>(sessions, online, registry, options)) {}
Presence::~Presence() = default;

void Presence::FindKeys(const std::vector<Key>& keys, OnPlaces done) {
  impl_->sessions().FindKeys(keys, impl_->FilterInto(std::move(done)));
}

void Presence::FindMids(const std::vector<Mid>& mids, OnPlaces done) {
  impl_->sessions().FindMids(mids, impl_->FilterInto(std::move(done)));
}

std::int32_t Presence::CountOf(std::string_view room) const {
  const RoomTotals::Sum rooms = impl_->Rooms();
  const auto found = rooms->find(std::string(room));
  return found == rooms->end() ? 0 : found->second;
}

std::vector<std::pair<std::string, std::int32_t>> Presence::Top(std::string_view prefix,
                                                                std::size_t limit) const {
  return LargestRooms(*impl_->Rooms(), prefix, limit);
}

RoomTotals::Sum Presence::Rooms() const { return impl_->Rooms(); }

std::pair<std::int64_t, std::int64_t> Presence::Totals() const {
  std::pair<std::int64_t, std::int64_t> sum{0, 0};
  for (const Instance& comet : impl_->registry().List("comet")) {
    sum.first += comet.conn_count();
    sum.second += comet.ip_count();
  }
  return sum;
}

const PresenceCounts& Presence::counts() const { return impl_->counts(); }

}  // namespace encke::presence

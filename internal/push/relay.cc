#include "push/relay.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/threads.h"

namespace encke::push {
namespace {

struct At {  // one entry: the mid counts when it is kept
  ServerId comet;
  std::int64_t mid = 0;
  auto operator<=>(const At&) const = default;  // NOLINT(modernize-use-nullptr): it sees a 0
};
// Keys of one request by comet, in the order in which they were named.
using KeysByComet = std::map<At, std::vector<std::string>>;

KeysByComet GroupKeys(const std::vector<Key>& keys,
                      const std::vector<store::Place>& places,
                      std::uint64_t* nowhere) {
  std::unordered_map<Key, const ServerId*> homes;
  for (const store::Place& place : places) {
    if (!place.server.value().empty()) homes.emplace(place.key, &place.server);
  }
  KeysByComet groups;
  for (const Key& key : keys) {
    const auto home = homes.find(key);
    if (home == homes.end()) {
      ++*nowhere;
    } else {
      groups[{*home->second, 0}].push_back(key.value());
    }
  }
  return groups;
}

// A key that is listed under two mids is one connection: it gets the message once.
KeysByComet GroupPlaces(const std::vector<store::Place>& places, bool by_mid) {
  KeysByComet groups;
  std::unordered_set<std::string_view> seen;
  for (const store::Place& place : places) {
    if (place.server.value().empty() || !seen.insert(place.key.value()).second) continue;
    groups[{place.server, by_mid ? place.mid.value() : 0}].push_back(place.key.value());
  }
  return groups;
}

PushMsg::Type TypeOf(const Push& push) {
  switch (push.what) {
    case What::kKick:
      return PushMsg::KICK;
    case What::kJoin:
      return PushMsg::JOIN;
    case What::kLeave:
      return PushMsg::LEAVE;
    case What::kSay:
      break;
  }
  switch (push.to) {
    case To::kRooms:
      return PushMsg::ROOM;
    case To::kAll:
      return PushMsg::BROADCAST;
    case To::kKeys:
    case To::kMids:
      break;
  }
  return PushMsg::PUSH;
}

// All but the target.
PushMsg MessageOf(const Push& push) {
  PushMsg message;
  message.set_type(TypeOf(push));
  message.set_operation(push.op);
  message.set_speed(push.speed);
  message.set_msg(push.body);
  message.set_id(push.id);
  message.set_room(push.room.value());
  const std::int64_t now_us = WallUs();
  message.set_accepted_us(now_us);
  for (const std::string& key : push.exclude_keys)
    message.add_exclude_keys(key);
  for (const std::int64_t mid : push.exclude_mids)
    message.add_exclude_mids(mid);
  for (const std::string& platform : push.exclude_platforms)
    message.add_exclude_platforms(platform);
  if (push.ttl_ms > 0) message.set_expires_us(now_us + push.ttl_ms * 1000);
  message.set_report(push.report);
  message.set_conflate(push.conflate);
  message.set_from_mid(push.from_mid);
  message.set_client_id(push.client_id);
  return message;
}

Push Named(Push push) {
  if (push.id.empty()) push.id = NewUuid();
  return push;
}

// Parts of one push need names that a retry finds again, and that fit a header.
std::string PartName(std::string_view part) { return fmt::format("{:016x}", Fnv1a(part)); }

}  // namespace

// ---- one push under way -----------------------------------------------------------------------

// Counts what is still to come; whoever starts something begins it before the previous one ends.
class Relay::Work {
 public:
  Work(Push asked, Relay& relay, OnAccepted done)
      : alone(!asked.id.empty()),
        push(Named(std::move(asked))),
        message(MessageOf(push)),
        counts_(relay.counts_),
        accepted_(relay.CounterOf(push.to)),
        report_(relay.ports_.report),
        done_(std::move(done)) {
    state_.With([this](State& s) {
      s.accepted.id = push.id;
      s.accepted.time_us = message.accepted_us();
    });
  }

  void Begin() {
    state_.With([](State& s) { ++s.waiting; });
  }
  void End(const Status& status) {
    const bool last = state_.With([&](State& s) {
      if (!status && s.outcome) s.outcome = status;
      return --s.waiting == 0;
    });
    if (!last) return;
    State end = state_.With([](State& s) { return std::move(s); });
    (end.outcome ? accepted_ : counts_.failed).Add();
    if (!end.outcome) return done_(end.outcome.error());
    if (push.report && report_) report_(end.accepted);
    done_(std::move(end.accepted));
  }
  void Put(const Place& place, const store::Timelines::Appended& appended) {
    state_.With([&](State& s) {
      s.accepted.places.push_back(place);
      if (!appended.duplicate) return;
      s.accepted.duplicate = true;
      s.accepted.time_us = appended.time_ms * 1000;
    });
  }
  void Unrouted(std::uint64_t count) {
    counts_.unrouted.Add(count);
    state_.With([count](State& s) { s.accepted.unrouted += count; });
  }
  std::map<std::int64_t, Place> inboxes() const {
    return state_.With([](const State& s) {
      std::map<std::int64_t, Place> places;
      for (const Place& place : s.accepted.places)
        places.emplace(timeline::OwnerOf(place.timeline).value(), place);
      return places;
    });
  }

  const bool alone;  // its caller may ask again by its id
  const Push push;
  const PushMsg message;

 private:
  struct State {
    std::size_t waiting = 0;
    Status outcome{Ok{}};
    Accepted accepted;
  };
  Guarded<State> state_;
  RelayCounts& counts_;
  Counter& accepted_;
  const std::function<void(const Accepted&)>& report_;
  const OnAccepted done_;
};

Relay::Relay(RelayPorts ports, std::size_t in_flight_max)
    : ports_(std::move(ports)), lanes_(ports_.partitions, in_flight_max, ports_.publish) {}

Counter& Relay::CounterOf(To to) {
  switch (to) {
    case To::kKeys:
      return counts_.keys;
    case To::kMids:
      return counts_.mids;
    case To::kRooms:
      return counts_.room;
    case To::kAll:
      break;
  }
  return counts_.all;
}

void Relay::Accept(Push push, OnAccepted done) { Begin(std::move(push), nullptr, std::move(done)); }

void Relay::AcceptAll(std::vector<Push> pushes,
                      const std::function<void(std::size_t, Result<Accepted>)>& done) {
  Sheaf sheaf;
  for (std::size_t i = 0; i < pushes.size(); ++i) {
    Begin(std::move(pushes[i]), &sheaf,
          [done, i](Result<Accepted> accepted) { done(i, std::move(accepted)); });
  }
  for (auto& [partition, items] : sheaf)
    lanes_.Put(partition, std::move(items));
}

void Relay::Begin(Push push, Sheaf* sheaf, OnAccepted done) {
  const auto job = std::make_shared<Work>(std::move(push), *this, std::move(done));
  job->Begin();
  switch (job->push.to) {
    case To::kKeys:
      ToKeys(job);
      break;
    case To::kMids:
      ToMids(job);
      break;
    case To::kRooms:
      for (const RoomId& room : job->push.rooms)
        ToRoom(job, room, sheaf);
      break;
    case To::kAll:
      Publish(job, 0, "", job->message, sheaf);
      break;
  }
  job->End(Ok{});
}

// ---- targets ----------------------------------------------------------------------------------

void Relay::ToKeys(const Job& job) {
  job->Begin();
  ports_.find_keys(job->push.keys, [this, job](const auto& places) {
    if (!places) return job->End(places.error());
    std::uint64_t nowhere = 0;
    for (const auto& [at, keys] : GroupKeys(job->push.keys, *places, &nowhere))
      ToComet(job, at.comet, keys, nullptr);
    job->Unrouted(nowhere);
    job->End(Ok{});
  });
}

// The inboxes first: who connects in between finds it there.
void Relay::ToMids(const Job& job) {
  const bool keep = job->push.keep && job->push.what == What::kSay;
  std::vector<Mid> mids;
  std::unordered_set<Mid> seen;
  for (const Mid& mid : job->push.mids)
    if (keep && mid.value() > 0 && seen.insert(mid).second) mids.push_back(mid);
  if (mids.empty()) return FindMids(job);
  const auto missing = std::make_shared<std::atomic<std::size_t>>(mids.size());
  for (const Mid& mid : mids) {
    PushMsg message = job->message;
    message.set_mid(mid.value());
    Append(job, timeline::InboxOf(mid), ports_.plan.inbox, message,
           [this, job, missing](const Place&) {
             if (missing->fetch_sub(1) == 1) FindMids(job);
           });
  }
}

void Relay::FindMids(const Job& job) {
  job->Begin();
  ports_.find_mids(job->push.mids, [this, job](const auto& places) {
    if (!places) return job->End(places.error());
    const std::map<std::int64_t, Place> inboxes = job->inboxes();
    const auto groups = GroupPlaces(*places, !inboxes.empty());
    for (const auto& [at, keys] : groups) {
      const auto inbox = inboxes.find(at.mid);
      ToComet(job, at.comet, keys, inbox == inboxes.end() ? nullptr : &inbox->second);
    }
    if (groups.empty()) job->Unrouted(job->push.mids.size());
    job->End(Ok{});
  });
}

void Relay::ToComet(const Job& job,
                    const ServerId& comet,
                    const std::vector<std::string>& keys,
                    const Place* inbox) {
  PushMsg entry = job->message;
  entry.set_server(comet.value());
  for (const std::string& key : keys)
    entry.add_keys(key);
  std::string part = comet.value();
  if (inbox != nullptr) {
    entry.set_mid(timeline::OwnerOf(inbox->timeline).value());
    entry.set_epoch(inbox->epoch);
    entry.set_seq(inbox->seq);
    part += " " + inbox->timeline;
  }
  Publish(job, bus::PartitionOf(comet.value(), ports_.partitions), part, entry);
}

void Relay::ToRoom(const Job& job, const RoomId& room, Sheaf* sheaf) {
  PushMsg message = job->message;
  message.set_room(room.value());
  const int partition = bus::PartitionOf(room.value(), ports_.partitions);
  const std::string part = job->push.rooms.size() > 1 ? room.value() : "";
  const timeline::KeptOptions* kept = ports_.plan.Of(room.value());
  if (kept == nullptr || job->push.what != What::kSay) {
    return Publish(job, partition, part, message, sheaf);
  }
  Append(job, room.value(), *kept, message,
         [this, job, partition, part, message](const Place& place) {
           PushMsg numbered = message;
           numbered.set_epoch(place.epoch);
           numbered.set_seq(place.seq);
           Publish(job, partition, part, numbered);
         });
}

// ---- storing ----------------------------------------------------------------------------------

void Relay::Append(const Job& job,
                   const std::string& name,
                   const timeline::KeptOptions& kept,
                   const PushMsg& message,
                   Numbers then) {
  job->Begin();
  store::Timelines::Entry entry{
      name,     job->push.id,    message.SerializeAsString(),
      kept.hot, job->push.again, job->push.report && timeline::IsInbox(name)};
  AppendOnce(job, std::move(entry), 0, std::move(then));
}

// An append without an answer may have happened: once more, and the script looks for the id.
void Relay::AppendOnce(const Job& job, store::Timelines::Entry entry, int attempt, Numbers then) {
  ports_.append(entry,
                [this, job, entry, attempt, then = std::move(then)](const auto& appended) mutable {
                  if (!appended) {
                    const Errc code = appended.error().code;
                    const bool maybe = code == Errc::kTimeout || code == Errc::kUnavailable;
                    if (!maybe || attempt > 0) return job->End(appended.error());
                    counts_.append_retried.Add();
                    entry.retry = true;
                    return AppendOnce(job, std::move(entry), attempt + 1, std::move(then));
                  }
                  counts_.kept.Add();
                  const Place place{entry.name, appended->epoch, appended->seq};
                  job->Put(place, *appended);
                  if (ports_.archive && ports_.plan.Of(entry.name)->durable) {
                    job->Begin();
                    ports_.archive(place, timeline::Numbered(entry.payload, place.epoch, place.seq),
                                   [job](const Status& stored) { job->End(stored); });
                  }
                  then(place);
                  job->End(Ok{});
                });
}

void Relay::Publish(
    const Job& job, int partition, const std::string& part, const PushMsg& message, Sheaf* sheaf) {
  job->Begin();
  std::vector<Lanes::Item> items(1);
  items[0].id = part.empty() ? job->push.id : job->push.id + "." + PartName(part);
  items[0].alone = job->alone;
  items[0].payload = message.SerializeAsString();
  items[0].done = [job](const Status& stored) { job->End(stored); };
  if (sheaf == nullptr) return lanes_.Put(partition, std::move(items));
  (*sheaf)[partition].push_back(std::move(items[0]));
}

}  // namespace encke::push

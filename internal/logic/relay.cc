#include "logic/relay.h"

#include <atomic>
#include <map>
#include <memory>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "base/clock.h"
#include "base/threads.h"

namespace encke::logic {
namespace {

// Keys of one request by comet, in the order in which they were named.
using KeysByComet = std::map<ServerId, std::vector<std::string>>;

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
      groups[*home->second].push_back(key.value());
    }
  }
  return groups;
}

// A key that is listed under two mids is one connection: it gets the message once.
KeysByComet GroupPlaces(const std::vector<store::Place>& places) {
  KeysByComet groups;
  std::unordered_set<std::string_view> seen;
  for (const store::Place& place : places) {
    if (place.server.value().empty() || !seen.insert(place.key.value()).second) continue;
    groups[place.server].push_back(place.key.value());
  }
  return groups;
}

PushMsg Message(PushMsg::Type type, std::int32_t op, std::string body) {
  PushMsg message;
  message.set_type(type);
  message.set_operation(op);
  message.set_msg(std::move(body));
  message.set_accepted_us(WallUs());
  return message;
}

// Waits for the answers to all entries of one request.
class Tally {
 public:
  Tally(std::size_t waiting, std::function<void(Status)> done)
      : waiting_(waiting), done_(std::move(done)) {}

  void Answered(const Result<std::uint64_t>& stored) {
    if (!stored) {
      outcome_.With([&](Status& outcome) {
        if (outcome) outcome = stored.error();
      });
    }
    if (waiting_.fetch_sub(1) == 1) done_(outcome_.With([](Status& outcome) { return outcome; }));
  }

 private:
  std::atomic<std::size_t> waiting_;
  Guarded<Status> outcome_{Status(Ok{})};
  std::function<void(Status)> done_;
};

}  // namespace

struct Relay::Batch {
  struct Entry {
    int partition;
    PushMsg message;
  };
  std::vector<Entry> entries;

  static Batch ToComets(const KeysByComet& groups, const PushMsg& message, int partitions) {
    Batch batch;
    for (const auto& [comet, keys] : groups) {
      PushMsg entry = message;
      entry.set_server(comet.value());
      for (const std::string& key : keys) {
        entry.add_keys(key);
      }
      batch.entries.push_back({bus::PartitionOf(comet.value(), partitions), std::move(entry)});
    }
    return batch;
  }
};

Relay::Relay(RelayPorts ports) : ports_(std::move(ports)) {}

void Relay::PushKeys(std::int32_t op, std::vector<Key> keys, std::string body, OnStored done) {
  auto wanted = std::make_shared<const std::vector<Key>>(std::move(keys));
  auto message = std::make_shared<const PushMsg>(Message(PushMsg::PUSH, op, std::move(body)));
  ports_.find_keys(*wanted, [this, wanted, message, done = std::move(done)](auto places) {
    if (!places) {
      counts_.failed.Add();
      return done(places.error());
    }
    std::uint64_t nowhere = 0;
    const KeysByComet groups = GroupKeys(*wanted, *places, &nowhere);
    counts_.unrouted.Add(nowhere);
    Publish(Batch::ToComets(groups, *message, ports_.partitions), counts_.keys, done);
  });
}

void Relay::PushMids(std::int32_t op,
                     const std::vector<Mid>& mids,
                     std::string body,
                     OnStored done) {
  auto message = std::make_shared<const PushMsg>(Message(PushMsg::PUSH, op, std::move(body)));
  ports_.find_mids(
      mids, [this, wanted = mids.size(), message, done = std::move(done)](auto places) {
        if (!places) {
          counts_.failed.Add();
          return done(places.error());
        }
        const KeysByComet groups = GroupPlaces(*places);
        if (groups.empty()) counts_.unrouted.Add(wanted);
        Publish(Batch::ToComets(groups, *message, ports_.partitions), counts_.mids, done);
      });
}

void Relay::PushRoom(std::int32_t op, const RoomId& room, std::string body, OnStored done) {
  PushMsg message = Message(PushMsg::ROOM, op, std::move(body));
  message.set_room(room.value());
  Batch batch;
  batch.entries.push_back({bus::PartitionOf(room.value(), ports_.partitions), std::move(message)});
  Publish(std::move(batch), counts_.room, std::move(done));
}

void Relay::PushAll(std::int32_t op, std::int32_t speed, std::string body, OnStored done) {
  PushMsg message = Message(PushMsg::BROADCAST, op, std::move(body));
  message.set_speed(speed);
  Batch batch;
  batch.entries.push_back({0, std::move(message)});
  Publish(std::move(batch), counts_.all, std::move(done));
}

void Relay::Publish(Batch&& batch, Counter& accepted, OnStored done) {
  auto finish = [this, &accepted, done = std::move(done)](Status stored) {
    (stored ? accepted : counts_.failed).Add();
    done(std::move(stored));
  };
  if (batch.entries.empty()) return finish(Ok{});  // nobody is there: nothing to store
  auto tally = std::make_shared<Tally>(batch.entries.size(), std::move(finish));
  for (auto& [partition, message] : batch.entries) {
    const std::string id = NewUuid();
    message.set_id(id);
    ports_.publish(partition, id, message.SerializeAsString(),
                   [tally](const Result<std::uint64_t>& stored) { tally->Answered(stored); });
  }
}

}  // namespace encke::logic

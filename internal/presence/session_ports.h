#pragma once
// SessionPorts: what SessionDoor needs from the world.  StorePorts asks Redis; tests have a fake.
//
// Owner    main of logic; SessionDoor borrows it.
// Thread   any; callbacks on the Redis thread, or inline when Redis refuses at once.
// Limit    Redis' commands_max.

#include <cstdint>
#include <functional>
#include <utility>

#include "api/logic.pb.h"

#include "base/ids.h"
#include "base/result.h"
#include "presence/presence.h"
#include "store/online.h"
#include "store/sessions.h"

namespace encke::presence {

class SessionPorts {
 public:
  using OnArrival = std::function<void(Result<store::Sessions::Arrival>)>;
  using OnDone = std::function<void(Status)>;
  using OnMemory = std::function<void(Result<store::Sessions::Memory>)>;
  struct Life {  // one login of one key
    Mid mid;
    Key key;
    std::uint64_t generation = 0;
  };

  virtual ~SessionPorts() = default;
  using Claim = store::Sessions::Claim;
  virtual void Arrive(
      Mid mid, const Key& key, const ServerId& comet, Claim claim, OnArrival done) = 0;
  virtual void Renew(const Life& life, const ServerId& comet, OnDone done) = 0;
  virtual void Depart(const Life& life, const ServerId& comet, OnDone done) = 0;
  virtual void Report(const ServerId& comet,
                      bool snapshot,
                      const store::RoomTable& changes,
                      OnDone done) = 0;
  virtual void CheckMemory(OnMemory done) = 0;
  virtual RoomTotals::Sum Rooms() = 0;
  // What a session asks about timelines, and what became of pushes on a comet.
  using OnReply = std::function<void(encke::Reply)>;
  virtual void Hear(const Upstream& package) = 0;  // a package of a client, for backends
  virtual void Ask(const Request& request, OnReply done) = 0;
  virtual void Count(const ServerId& comet, std::uint64_t boot, const PushReport& report) = 0;
};

class StorePorts final : public SessionPorts {
 public:
  // Who answers about timelines and keeps reports: no part of presence.
  struct Others {
    std::function<void(const Request&, OnReply)> ask;
    std::function<void(const ServerId& comet, std::uint64_t boot, const PushReport&)> count;
    std::function<void(const Upstream&)> hear;
  };
  StorePorts(store::Sessions& sessions, store::Online& online, Presence& presence, Others others)
      : sessions_(sessions), online_(online), presence_(presence), others_(std::move(others)) {}

  void Arrive(
      Mid mid, const Key& key, const ServerId& comet, Claim claim, OnArrival done) override {
    sessions_.Arrive(mid, key, comet, claim, std::move(done));
  }
  void Renew(const Life& life, const ServerId& comet, OnDone done) override {
    sessions_.Renew(life.mid, life.key, comet, life.generation, std::move(done));
  }
  void Depart(const Life& life, const ServerId& comet, OnDone done) override {
    sessions_.Depart(life.mid, life.key, comet, life.generation, std::move(done));
  }
  void Report(const ServerId& comet,
              bool snapshot,
              const store::RoomTable& changes,
              OnDone done) override {
    online_.Report(comet, snapshot, changes, done);
  }
  void CheckMemory(OnMemory done) override { sessions_.CheckMemory(std::move(done)); }
  RoomTotals::Sum Rooms() override { return presence_.Rooms(); }
  void Ask(const Request& request, OnReply done) override { others_.ask(request, std::move(done)); }
  void Hear(const Upstream& package) override { others_.hear(package); }
  void Count(const ServerId& comet, std::uint64_t boot, const PushReport& report) override {
    others_.count(comet, boot, report);
  }

 private:
  store::Sessions& sessions_;
  store::Online& online_;
  Presence& presence_;
  const Others others_;
};

}  // namespace encke::presence

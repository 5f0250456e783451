#pragma once
// Registry: which daemons are alive, in NATS KV bucket "encke_registry", key "<kind>.<id>".
//
// Each daemon puts its Instance every put_interval.  Readers listen to the puts and expire entries
// by their own clock (KV does not tell watchers about expiry); the bucket only serves the first
// picture.  If more than half of the instances of a kind vanish within one expiry they are kept for
// `distrust` (a broken registry, not a massacre), unless they said goodbye.  Nobody expires while
// we are not connected ourselves.
//
// Owner    main of each daemon.
// Thread   own threads; callbacks come on one of them.
// Limit    none: one entry per daemon.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/registry.pb.h"

#include "base/clock.h"
#include "base/result.h"
#include "bus/nats.h"

namespace encke::bus {

struct RegistryOptions {
  Duration put_interval{2000};
  Duration expire{6000};
  Duration distrust{60'000};
};

// Roster: who is believed alive, and why.  The rule of the registry, without network or clock.
class Roster {
 public:
  explicit Roster(const RegistryOptions& options) : options_(options) {}

  void Heard(const std::string& key, Instance instance, std::int64_t now_ms);
  void Goodbye(const std::string& key);
  // We could not hear anybody: everyone's silence begins again.
  void Deaf(std::int64_t now_ms);
  // Removes whoever has been silent for too long; answers how many are newly distrusted.
  int Expire(std::int64_t now_ms);

  std::vector<Instance> List(const std::string& kind) const;  // sorted by id
  // Changes when the set of a kind, a boot number, an address or an offline flag does.
  std::string Picture(const std::string& kind) const;

 private:
  struct Node {
    Instance instance;
    std::int64_t heard_ms = 0;
    std::int64_t doubted_since_ms = 0;  // 0: believed
  };
  struct Loss {
    std::string kind;
    std::int64_t at_ms = 0;
  };
  bool Massacre(const std::string& kind, std::int64_t now_ms) const;

  RegistryOptions options_;
  std::map<std::string, Node> nodes_;  // by key
  std::vector<Loss> losses_;           // of the last expiry
};

// The key of an instance: the kind and the id, with what a key may not contain written as =hex.
std::string RegistryKey(std::string_view kind, std::string_view id);

class Registry {
 public:
  Registry(Nats& nats, const RegistryOptions& options);
  ~Registry();  // removes what Announce put
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  // Puts what `describe` answers now and every put_interval.
  void Announce(std::function<Instance()> describe);
  void AnnounceNow();  // after a change that others should know at once (drain)
  void Withdraw();     // goodbye: others see it go at once
  // All live instances of a kind, sorted by id; called once with what is known and after each
  // change of the set, a boot number, an address or the offline flag (not for mere counts).
  // The first call waits for the first picture, i.e. for a connection.
  void Watch(const std::string& kind, std::function<void(const std::vector<Instance>&)> changed);
  // The newest of a kind, counts included.
  std::vector<Instance> List(const std::string& kind) const;
  bool synced() const;  // the first picture is complete

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace encke::bus

#pragma once
// Roster: who is believed alive, and why.  The rule of the registry, without network or clock.
//
// Whoever is silent for `expire` is removed.  If more than half of the instances of a kind vanish
// within one expiry they are kept for `distrust` (a broken registry, not a massacre), unless they
// said goodbye, or somebody has looked and found nobody there (Suspects).
//
// Owner    bus::Registry; in tests nobody else.
// Thread   one at a time.
// Limit    none: one entry per daemon.

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "api/registry.pb.h"

#include "base/clock.h"

namespace encke::fleet {

struct RegistryOptions {
  Duration put_interval{2000};
  Duration expire{6000};
  Duration distrust{60'000};
  std::string hear = {};  // only this kind; empty = every.  A comet need not hear a hundred others
};

class Roster {
 public:
  explicit Roster(const RegistryOptions& options) : options_(options) {}

  void Heard(const std::string& key, Instance instance, std::int64_t now_ms);
  void Goodbye(const std::string& key);
  // We could not hear anybody: everyone's silence begins again.
  void Deaf(std::int64_t now_ms);
  // Those whom Expire would distrust now.
  std::vector<Instance> Suspects(std::int64_t now_ms) const;
  // Removes whoever has been silent for too long, those in `dead` without any doubt; answers how
  // many are newly distrusted.
  int Expire(std::int64_t now_ms, const std::set<std::string>& dead = {});

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
  std::vector<std::string> Silent(std::int64_t now_ms) const;
  bool Massacre(const std::string& kind, std::int64_t now_ms) const;

  RegistryOptions options_;
  std::map<std::string, Node> nodes_;  // by key
  std::vector<Loss> losses_;           // of the last expiry
};

// The key of an instance: the kind and the id, with what a key may not contain written as =hex.
std::string RegistryKey(std::string_view kind, std::string_view id);

}  // namespace encke::fleet

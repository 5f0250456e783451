#pragma once
// Registry: which daemons are alive, in NATS KV bucket "encke_registry", key "<kind>.<id>".
//
// Each daemon puts its Instance every put_interval.  Readers listen to the puts and expire entries
// by their own clock (KV does not tell watchers about expiry); the bucket only serves the first
// picture.  If more than half of the instances of a kind vanish within one expiry they are kept for
// `distrust` (a broken registry, not a massacre), unless they said goodbye or their gRPC address
// refuses a connection.  Nobody expires while we are not connected ourselves.
//
// Owner    main of each daemon.
// Thread   own threads; callbacks come on one of them.
// Limit    none: one entry per daemon.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/registry.pb.h"

#include "base/clock.h"
#include "base/result.h"
#include "bus/nats.h"
#include "fleet/roster.h"

namespace encke::bus {

using RegistryOptions = fleet::RegistryOptions;

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

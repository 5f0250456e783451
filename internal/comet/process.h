#pragma once
// Process: the life of the comet process: its limits, announcing itself, reload, leaving.
//
// Owner    main.
// Thread   main's.
// Limit    comet.stop_timeout for leaving.

#include <cstdint>
#include <memory>
#include <string>

#include "base/threads.h"
#include "bus/registry.h"
#include "comet/config.h"
#include "comet/shard.h"
#include "downlink/interest.h"

namespace encke::comet {

// As many open files as the system allows.  connections_max 0 becomes what they carry; a number
// they do not carry is refused.
Status FitToLimits(CometConfig* config);

using Boot = std::uint64_t;
inline Boot NewBoot() { return static_cast<Boot>(WallUs()); }

// Null when no certificates are configured.
Result<std::unique_ptr<net::Tls>> LoadTls(const CometConfig& config);
std::vector<Door> DoorsOf(const CometConfig& config, net::Tls* tls);
// An answer from logic goes to the shard that asked.
void Deliver(Shards& shards, ConnectReply reply);
void Deliver(Shards& shards, Reply reply);
// Empty: logic's stream is up, NATS is connected and every shard answered within a second.
std::string WhyUnready(const uplink::LogicLink& logic, const bus::Nats& nats, Shards& shards);

class Life {
 public:
  Life(const CometConfig& config,
       std::string config_path,
       Boot boot,
       bus::Registry& registry,
       uplink::LogicLink& logic,
       Shards& shards,
       const session::Addresses& addresses,
       net::Tls* tls);

  // Finds logic and announces us; offline, until Welcome.
  void Begin(std::uint16_t grpc_port);
  // Until every job that the registry names is connected, at most two seconds.
  void AwaitJobs(downlink::Interest& interest);
  void Welcome();      // the doors are open
  void WaitForStop();  // SIGHUP: Reload
  void Leave();        // clients, goodbyes, registry
  void Reload();

 private:
  const CometConfig& config_;
  const std::string config_path_;
  const Boot boot_;
  bus::Registry& registry_;
  uplink::LogicLink& logic_;
  Shards& shards_;
  const session::Addresses& addresses_;
  net::Tls* tls_;
  std::uint16_t grpc_port_ = 0;
  Guarded<Instance> self_;
};

}  // namespace encke::comet

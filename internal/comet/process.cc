#include "comet/process.h"

#include <algorithm>
#include <atomic>
#include <string_view>
#include <utility>

#include "base/limits.h"
#include "base/log.h"
#include "bus/nats.h"
#include "daemon/signals.h"

namespace encke::comet {
namespace {

constexpr std::size_t kFilesReserved = 256;  // admin, gRPC to every job and logic, NATS, logs
constexpr std::size_t kFilesPerShard = 16;   // epoll, mailbox, listeners and their spares
constexpr std::size_t kConnectionsMost = 10'000'000;

constexpr Duration kJobPatience{2000};

std::vector<std::string> AddressesOf(const std::vector<Instance>& logics) {
  std::vector<std::string> live, offline;
  for (const Instance& logic : logics)
    (logic.offline() ? offline : live).push_back(logic.grpc());
  return live.empty() ? offline : live;
}

}  // namespace

Status FitToLimits(CometConfig* config) {
  const SystemLimits limits = ReadLimits();
  const std::size_t reserve = kFilesReserved + kFilesPerShard * config->shards;
  std::size_t& connections = config->shard.net.connections_max;
  if (connections == 0) {
    connections = std::clamp<std::size_t>(ConnectionsCarried(limits, reserve), 1, kConnectionsMost);
    log::Info("process.limits connections_max={} open_files={}", connections, limits.open_files);
  } else if (auto carried = CheckCarried(limits, connections, reserve); !carried) {
    return Error{Errc::kInvalid, "session.connections_max: " + carried.error().text};
  }
  if (const auto backlog = static_cast<std::uint64_t>(net::ListenOptions().backlog);
      limits.somaxconn < backlog) {
    log::Warn("process.limits a burst of connects may be turned away: sysctl net.core.somaxconn={}",
              limits.somaxconn);
  }
  return Ok{};
}

Result<std::unique_ptr<net::Tls>> LoadTls(const CometConfig& config) {
  if (config.tls.cert_files.empty()) return std::unique_ptr<net::Tls>();
  return net::Tls::Make(config.tls);
}

std::vector<Door> DoorsOf(const CometConfig& config, net::Tls* tls) {
  std::vector<Door> doors;
  const auto add = [&doors](session::Transport transport, const std::string& address,
                            net::Tls* with) {
    if (!address.empty()) doors.push_back({transport, address, with});
  };
  add(session::Transport::kTcp, config.tcp_listen, nullptr);
  add(session::Transport::kWs, config.ws_listen, nullptr);
  if (tls != nullptr) add(session::Transport::kTls, config.tls_listen, tls);
  if (tls != nullptr) add(session::Transport::kWss, config.wss_listen, tls);
  return doors;
}

void Deliver(Shards& shards, ConnectReply reply) {
  const std::uint32_t shard = uplink::AskId::Unpack(reply.id()).shard;
  shards.Tell(shard, [reply = std::move(reply)](session::Sessions& home) mutable {
    home.Answer(std::move(reply));
  });
}

void Deliver(Shards& shards, Reply reply) {
  const std::uint32_t shard = talk::ShardOf(reply.id());
  shards.Tell(shard, [reply = std::move(reply)](session::Sessions& home) { home.Hear(reply); });
}

std::string WhyUnready(const uplink::LogicLink& logic, const bus::Nats& nats, Shards& shards) {
  if (!logic.up()) return "no stream to a logic";
  if (!nats.connected()) return "NATS is away";
  if (!shards.Ping(Duration(1000))) return "a shard does not answer";
  return {};
}

Life::Life(const CometConfig& config,
           std::string config_path,
           Boot boot,
           bus::Registry& registry,
           uplink::LogicLink& logic,
           Shards& shards,
           const session::Addresses& addresses,
           net::Tls* tls)
    : config_(config),
      config_path_(std::move(config_path)),
      boot_(boot),
      registry_(registry),
      logic_(logic),
      shards_(shards),
      addresses_(addresses),
      tls_(tls) {}

void Life::Begin(std::uint16_t grpc_port) {
  grpc_port_ = grpc_port;
  self_.With([&](Instance& self) {
    self = Describe(config_, boot_, grpc_port);
    self.set_offline(true);
  });
  if (!config_.logic_addresses.empty()) {
    logic_.SetAddresses(config_.logic_addresses);
  } else {
    registry_.Watch("logic", [&logic = logic_](const std::vector<Instance>& logics) {
      logic.SetAddresses(AddressesOf(logics));
    });
  }
  registry_.Announce([this] {
    Instance self = self_.With([](const Instance& known) { return known; });
    self.set_conn_count(shards_.channels());
    self.set_ip_count(static_cast<std::int64_t>(addresses_.distinct()));
    return self;
  });
}

void Life::AwaitJobs(downlink::Interest& interest) {
  const auto told = std::make_shared<std::atomic<bool>>(false);
  registry_.Watch("job", [&interest, told](const std::vector<Instance>& jobs) {
    std::vector<std::string> names;
    names.reserve(jobs.size());
    for (const Instance& job : jobs)
      names.push_back(job.id());
    interest.Expect(names);
    *told = true;
  });
  const std::int64_t until_ms = MonotonicMs() + kJobPatience.count();
  Pulse step;
  while ((!*told || interest.missing() > 0) && MonotonicMs() < until_ms)
    step.Wait(Duration(5));
  if (interest.missing() > 0) log::Warn("process.up jobs_missing={}", interest.missing());
}

void Life::Welcome() {
  self_.With([&](Instance& self) { self = Describe(config_, boot_, grpc_port_); });
  registry_.AnnounceNow();
  std::string doors;
  for (const std::uint16_t port : shards_.open_ports())
    doors += " " + std::to_string(port);
  log::Info("process.up id={} shards={} grpc={} ports={}", config_.id, shards_.size(), grpc_port_,
            doors);
}

void Life::WaitForStop() {
  daemon::WaitForStop([this] { Reload(); });
}

void Life::Reload() {
  const auto fresh = LoadConfig(config_path_);
  if (!fresh) return log::Warn("process.reload refused: {}", fresh.error().text);
  (void)log::SetLevel(fresh->log_level);
  self_.With([&](Instance& self) { self = Describe(*fresh, boot_, grpc_port_); });
  self_.With([&](Instance& self) { self.set_id(config_.id); });
  if (tls_ != nullptr) {
    if (auto loaded = tls_->Reload(); !loaded) {
      log::Warn("process.reload tls kept as it was: {}", loaded.error().text);
    }
  }
  registry_.AnnounceNow();
  daemon::LogReload(config_, *fresh,
                    {"log.level", "comet.weight", "comet.offline", "comet.public_addrs",
                     "comet.region", "comet.zone", "comet.env"});
}

// Offline first, so that nobody is sent here any more; gone only when the last client is, so that
// pushes for them still find their way.
void Life::Leave() {
  const auto part = [this](int percent) { return config_.stop_timeout * percent / 100; };
  self_.With([](Instance& self) { self.set_offline(true); });
  registry_.AnnounceNow();
  shards_.Drain(part(60));
  if (!logic_.Flush(part(15))) log::Warn("process.stopping some goodbyes did not reach logic");
  registry_.Withdraw();
}

}  // namespace encke::comet

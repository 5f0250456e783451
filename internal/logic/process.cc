#include "logic/process.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/threads.h"
#include "daemon/signals.h"

namespace encke::logic {

void WhyUnready(store::Redis& redis,
                const bus::Nats& nats,
                const bus::Registry& registry,
                std::function<void(std::string)> tell) {
  if (!nats.connected()) return tell("NATS is away");
  if (!registry.synced()) return tell("the registry was not read yet");
  redis.Call({"PING"}, [tell = std::move(tell)](const Result<store::Reply>& reply) {
    tell(reply ? "" : "Redis: " + reply.error().text);
  });
}

Life::Life(const LogicConfig& config, std::string config_path, const Parts& parts)
    : config_(config),
      config_path_(std::move(config_path)),
      boot_(static_cast<std::uint64_t>(WallUs())),
      parts_(parts) {}

void Life::Begin() {
  const std::uint16_t port = parts_.grpc.port();
  parts_.registry.Announce([this, port] { return Describe(config_, boot_, port); });
  if (config_.auth.mode == "goim") {
    log::Warn(
        "auth.open every client is believed whoever it says it is; auth.mode jwt asks for "
        "a signed token");
  }
  log::Info("process.up id={} http={} push_grpc={} grpc={} admin={}", config_.id,
            config_.http.address, config_.push_grpc.address, config_.grpc.address,
            config_.admin_listen);
}

void Life::WaitForStop() {
  daemon::WaitForStop([this] { Reload(); });
}

void Life::Reload() {
  const Result<LogicConfig> fresh = LoadConfig(config_path_);
  if (!fresh) return log::Warn("process.reload refused: {}", fresh.error().text);
  if (Status level = log::SetLevel(fresh->log_level); !level) {
    log::Warn("process.reload log.level kept: {}", level.error().text);
  }
  if (Status keys = parts_.auth.Reload(fresh->auth.jwt.keys); !keys) {
    log::Warn("process.reload auth.jwt.keys kept as they were: {}", keys.error().text);
  }
  if (Status keys = ReplaceApiKeys(fresh->api_keys); !keys) {
    log::Warn("process.reload api.keys kept as they were: {}", keys.error().text);
  }
  daemon::LogReload(config_, *fresh, {"log.level", "auth.jwt.keys", "api.keys"});
}

// The door stays where it is until a restart: the new keys must do for that one.
Status Life::ReplaceApiKeys(const std::vector<std::string>& fresh) {
  const Result<auth::ApiKeys> keys = auth::ApiKeys::Make(fresh);
  if (!keys) return keys.error();
  if (Status may = MayListen(config_, *keys); !may) return may;
  return parts_.api_keys.Replace(fresh);
}

void Life::Leave() {
  const std::int64_t deadline_ms = MonotonicMs() + config_.stop_timeout.count();
  const auto left = [&] {
    return Duration(std::max<std::int64_t>(0, deadline_ms - MonotonicMs()));
  };
  parts_.registry.Withdraw();
  parts_.http.StopAccepting();
  parts_.push_grpc.Stop(std::min(left(), Duration(1000)));
  if (!parts_.door.Close(left() / 2)) log::Warn("process.stopping some comets did not let go");
  parts_.grpc.Stop(std::min(left(), Duration(1000)));
  parts_.http.Stop();
  Pulse pause;
  while (parts_.relay.in_flight() > 0 && left().count() > 0)
    pause.Wait(Duration(10));
  parts_.hook.Stop(std::min(left(), Duration(2000)));
  if (const std::size_t lost = parts_.relay.in_flight(); lost > 0) {
    log::Warn("process.stopping unacknowledged={}", lost);
  }
}

}  // namespace encke::logic

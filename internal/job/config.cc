#include "job/config.h"

#include <array>
#include <chrono>
#include <string_view>

#include <unistd.h>

#include "base/config.h"

namespace encke::job {

namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::int64_t kKilo = 1024;
constexpr std::int64_t kMega = 1024 * kKilo;
constexpr std::int64_t kGiga = 1024 * kMega;

std::string HostName() {
  std::array<char, 256> name{};
  const bool known = gethostname(name.data(), name.size() - 1) == 0 && name[0] != 0;
  return known ? name.data() : "job";
}

void ReadSelf(ConfigReader& in, Config& out) {
  in.Key("job.id", &out.id);
  in.Key("job.region", &out.region);
  in.Key("job.zone", &out.zone);
  in.Key("job.env", &out.env);
  in.Key("job.stop_timeout", &out.stop_timeout, milliseconds(100), minutes(10));
  in.Choice("log.level", &out.log_level, {"debug", "info", "warn", "error"});
  in.Key("admin.listen", &out.admin_listen);
}

void ReadBus(ConfigReader& in, Config& out) {
  in.Key("nats.servers", &out.nats.servers);
  in.Key("nats.call_timeout", &out.nats.call_timeout, milliseconds(100), minutes(1));
  in.Key("nats.connect_timeout", &out.nats.connect_timeout, milliseconds(100), minutes(1));
  bus::LogOptions& log = out.push_log;
  in.Key("push_log.stream", &log.stream);
  in.Key("push_log.subject", &log.subject);
  in.Key("push_log.partitions", &log.partitions, 1, 1024);
  in.Key("push_log.replicas", &log.replicas, 1, 5);
  in.Key("push_log.max_age", &log.max_age, seconds(10), hours(24 * 365));
  in.Key("push_log.max_bytes", &log.max_bytes, kMega, kMega * kMega);
  in.Key("push_log.duplicate_window", &log.duplicate_window, seconds(1), hours(1));
  in.Key("registry.put_interval", &out.registry.put_interval, milliseconds(100), minutes(1));
  in.Key("registry.expire", &out.registry.expire, milliseconds(300), minutes(10));
  in.Key("registry.distrust", &out.registry.distrust, milliseconds(0), hours(1));
  in.Key("lease.renew_interval", &out.lease.renew_interval, milliseconds(100), minutes(1));
  in.Key("lease.expire", &out.lease.expire, milliseconds(300), minutes(10));
}

void ReadStore(ConfigReader& in, Config& out) {
  store::RedisOptions& redis = out.redis;
  in.Key("redis.address", &redis.address);
  in.Key("redis.password", &redis.password);
  in.Key("redis.database", &redis.database, 0, 1023);
  in.Key("redis.timeout", &redis.timeout, milliseconds(10), minutes(1));
  in.Key("redis.reconnect_max", &redis.reconnect_max, milliseconds(50), minutes(1));
}

void ReadLink(ConfigReader& in, Config& out) {
  LinkOptions& link = out.link;
  in.Key("link.queue_bytes_max", &link.queue_bytes_max, kMega, 64 * kGiga);
  in.Key("link.stuck_timeout", &link.stuck_timeout, milliseconds(0), minutes(10));
  in.Key("link.batch_bytes_max", &link.outbox.batch_bytes_max, kKilo, 8 * kMega);
  in.Key("link.retry_min", &link.retry_min, milliseconds(1), minutes(1));
  in.Key("link.retry_max", &link.retry_max, milliseconds(1), minutes(1));
  in.Key("room.signal", &link.outbox.room_signal, milliseconds(0), seconds(10));
  in.Key("room.batch", &link.outbox.room_batch, 1, 10'000);
}

Status Check(const Config& config) {
  if (config.lease.expire < config.lease.renew_interval * 2) {
    return Error{Errc::kInvalid, "lease.expire: must be at least twice lease.renew_interval"};
  }
  if (config.registry.expire < config.registry.put_interval * 2) {
    return Error{Errc::kInvalid, "registry.expire: must be at least twice registry.put_interval"};
  }
  if (config.link.retry_max < config.link.retry_min) {
    return Error{Errc::kInvalid, "link.retry_max: must not be less than link.retry_min"};
  }
  return Ok{};
}

}  // namespace

Result<Arguments> ParseArguments(int argc, char** argv) {
  Arguments out;
  bool named = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--check-config") {
      out.check_only = true;
    } else if (word == "--config" && i + 1 < argc && !named) {
      out.config = argv[++i];
      named = true;
    } else if (!word.starts_with("-") && !named) {
      out.config = word;
      named = true;
    } else {
      return Error{Errc::kInvalid, "usage: job [--check-config] [--config FILE]"};
    }
  }
  return out;
}

Result<Config> LoadConfig(const std::string& path) {
  Config out;
  ConfigReader in;
  if (auto opened = in.Open(path); !opened) return opened.error();
  ReadSelf(in, out);
  ReadBus(in, out);
  ReadStore(in, out);
  ReadLink(in, out);
  if (auto finished = in.Finish(); !finished) return finished.error();
  if (auto checked = Check(out); !checked) return checked.error();
  if (out.id.empty()) out.id = HostName();
  out.nats.name = "job." + out.id;
  return out;
}

Instance Describe(const Config& config, std::uint64_t boot) {
  Instance self;
  self.set_kind("job");
  self.set_id(config.id);
  self.set_region(config.region);
  self.set_zone(config.zone);
  self.set_env(config.env);
  self.set_boot(boot);
  return self;
}

}  // namespace encke::job

#include "daemon/config.h"

#include <algorithm>
#include <chrono>
#include <set>

#include <fmt/core.h>
#include <fmt/format.h>
#include <unistd.h>

#include "base/log.h"
#include "base/units.h"

namespace encke::daemon {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

std::string HostName(std::string_view otherwise) {
  char name[256] = {};
  const bool known = gethostname(name, sizeof name - 1) == 0 && name[0] != 0;
  return known ? name : std::string(otherwise);
}

}  // namespace

void ReadConfig(ConfigReader& in, std::string_view kind, Config* out) {
  const auto key = [kind](const char* name) { return fmt::format("{}.{}", kind, name); };
  in.Key(key("id"), &out->id);
  in.Key(key("region"), &out->region);
  in.Key(key("zone"), &out->zone);
  in.Key(key("env"), &out->env);
  in.Key(key("stop_timeout"), &out->stop_timeout, milliseconds(100), minutes(10));
  in.Choice("log.level", &out->log_level, {"debug", "info", "warn", "error"});
  in.Key("admin.listen", &out->admin_listen);
  in.Key("nats.servers", &out->nats.servers);
  in.Key("nats.call_timeout", &out->nats.call_timeout, milliseconds(100), minutes(1));
  in.Key("nats.connect_timeout", &out->nats.connect_timeout, milliseconds(100), minutes(1));
  in.Key("registry.put_interval", &out->registry.put_interval, milliseconds(100), minutes(1));
  in.Key("registry.expire", &out->registry.expire, milliseconds(300), minutes(10));
  in.Key("registry.distrust", &out->registry.distrust, milliseconds(0), hours(1));
}

void ReadPushLog(ConfigReader& in, bus::LogOptions* out) {
  in.Key("push_log.stream", &out->stream);
  in.Key("push_log.subject", &out->subject);
  in.Key("push_log.partitions", &out->partitions, 1, 1024);
  in.Key("push_log.replicas", &out->replicas, 1, 5);
  in.Key("push_log.max_age", &out->max_age, seconds(10), hours(24 * 365));
  in.Key("push_log.max_bytes", &out->max_bytes, kMega, kMega * kMega);
  in.Key("push_log.duplicate_window", &out->duplicate_window, seconds(1), hours(1));
}

Status FinishConfig(ConfigReader& in, std::string_view kind, Config* out) {
  if (auto finished = in.Finish(); !finished) return finished;
  if (out->registry.expire < out->registry.put_interval * 2) {
    return Error{Errc::kInvalid, "registry.expire: must be at least twice registry.put_interval"};
  }
  if (out->admin_listen.empty()) return Error{Errc::kInvalid, "admin.listen: must not be empty"};
  if (out->id.empty()) out->id = HostName(kind);
  out->nats.name = fmt::format("{}.{}", kind, out->id);
  out->said = in.Said();
  return Ok{};
}

Changes ChangesOf(const Config& running,
                  const Config& fresh,
                  const std::vector<std::string>& live) {
  std::set<std::string> changed;
  for (const auto& [name, value] : running.said) {
    const auto now = fresh.said.find(name);
    if (now == fresh.said.end() || now->second != value) changed.insert(name);
  }
  for (const auto& [name, value] : fresh.said)
    if (!running.said.contains(name)) changed.insert(name);
  Changes changes;
  for (const std::string& name : changed) {
    const bool taken = std::find(live.begin(), live.end(), name) != live.end();
    (taken ? changes.taken : changes.need_restart).push_back(name);
  }
  return changes;
}

void LogReload(const Config& running, const Config& fresh, const std::vector<std::string>& live) {
  const Changes changes = ChangesOf(running, fresh, live);
  log::Info("process.reload done changed=\"{}\"", fmt::join(changes.taken, " "));
  if (changes.need_restart.empty()) return;
  log::Warn("process.reload needs_restart=\"{}\"", fmt::join(changes.need_restart, " "));
}

Instance SelfOf(const Config& config, std::string_view kind, std::uint64_t boot) {
  Instance self;
  self.set_kind(std::string(kind));
  self.set_id(config.id);
  self.set_region(config.region);
  self.set_zone(config.zone);
  self.set_env(config.env);
  self.set_boot(boot);
  return self;
}

std::string DialedAt(const std::string& advertise, const std::string& listen, std::uint16_t port) {
  if (!advertise.empty()) return advertise;
  return fmt::format("{}:{}", listen.substr(0, listen.rfind(':')), port);
}

}  // namespace encke::daemon

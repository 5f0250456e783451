#pragma once
// Config: what every daemon's file may say; each daemon's own Config adds its keys.
//
// Owner    main.
// Thread   any, once loaded.
// Limit    ranges in config.cc, one row per key.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "api/registry.pb.h"

#include "base/clock.h"
#include "base/config.h"
#include "base/result.h"
#include "bus/nats.h"
#include "bus/registry.h"

namespace encke::daemon {

struct Config {
  std::string id;  // default: the host's name
  std::string region = "local", zone = "local", env = "dev";
  Duration stop_timeout{10'000};
  std::string log_level = "info";
  std::string admin_listen;
  bus::NatsOptions nats;
  bus::RegistryOptions registry;
  std::map<std::string, std::string> said;  // ConfigReader::Said, to tell what a reload changes
};

// The rows <kind>.id, region, zone, env, stop_timeout; log.level; admin.listen; nats.*; registry.*.
void ReadConfig(ConfigReader& in, std::string_view kind, Config* out);
// The rows push_log.*, for those who name the log.
void ReadPushLog(ConfigReader& in, bus::LogOptions* out);
// Ends the reading: the first wrong row, or what the rows together cannot mean.  Fills in names.
Status FinishConfig(ConfigReader& in, std::string_view kind, Config* out);

// What differs in the file since the start: keys that a reload takes over, and those that it
// cannot.
struct Changes {
  std::vector<std::string> taken;
  std::vector<std::string> need_restart;
};
// live: the keys that a reload of this daemon takes over.
Changes ChangesOf(const Config& running, const Config& fresh, const std::vector<std::string>& live);
// ChangesOf, for the log.
void LogReload(const Config& running, const Config& fresh, const std::vector<std::string>& live);

// What the registry is told of any daemon; boot changes with every start.
Instance SelfOf(const Config& config, std::string_view kind, std::uint64_t boot);
// host:port for others to dial: what is advertised, or where we listen.
std::string DialedAt(const std::string& advertise, const std::string& listen, std::uint16_t port);

}  // namespace encke::daemon

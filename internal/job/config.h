#pragma once
// Config: everything job can be told; one row per key in config.cc, one line in configs/job.yaml.
//
// Owner    main.
// Thread   one, while starting; SIGHUP reads it again for log.level alone.
// Limit    ranges are in config.cc.

#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "bus/leases.h"
#include "bus/nats.h"
#include "bus/registry.h"
#include "job/comet_link.h"
#include "store/redis.h"

namespace encke::job {

struct Config {
  std::string id;  // empty in the file: the host's name
  std::string region = "local";
  std::string zone = "local";
  std::string env = "dev";
  Duration stop_timeout{5000};
  std::string log_level = "info";
  std::string admin_listen = "127.0.0.1:3125";
  bus::NatsOptions nats;
  bus::LogOptions push_log;
  store::RedisOptions redis;  // where timelines are
  bus::RegistryOptions registry;
  bus::LeaseOptions lease;
  LinkOptions link;
};

struct Arguments {
  std::string config = "configs/job.yaml";
  bool check_only = false;
};

// [--check-config] [--config FILE | FILE]
Result<Arguments> ParseArguments(int argc, char** argv);
Result<Config> LoadConfig(const std::string& path);
Instance Describe(const Config& config, std::uint64_t boot);

}  // namespace encke::job

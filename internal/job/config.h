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
#include "daemon/config.h"
#include "job/comet_link.h"
#include "store/redis.h"

namespace encke::job {

struct Config : daemon::Config {
  Config() {
    stop_timeout = Duration(5000);
    admin_listen = "127.0.0.1:3125";
  }

  bus::LogOptions push_log;
  store::RedisOptions redis;  // where timelines are
  bus::LeaseOptions lease;
  LinkOptions link;
};

Result<Config> LoadConfig(const std::string& path);

}  // namespace encke::job

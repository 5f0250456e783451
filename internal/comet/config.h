#pragma once
// CometConfig: everything configs/comet.yaml may say, with its defaults.
//
// Owner    main.
// Thread   any, once loaded.
// Limit    ranges in config.cc, one row per key.

#include <cstdint>
#include <string>
#include <vector>

#include "api/registry.pb.h"

#include "daemon/config.h"
#include "downlink/interest.h"
#include "net/tls.h"
#include "session/sessions.h"
#include "uplink/logic_link.h"

namespace encke::comet {

struct CometConfig : daemon::Config {
  CometConfig() { admin_listen = "127.0.0.1:3105"; }

  std::vector<std::string> public_addrs = {"127.0.0.1"};
  std::int64_t weight = 10;
  bool offline = false;
  int shards = 0;  // 0 = one per core

  std::string tcp_listen = "127.0.0.1:3101";  // empty = no such door
  std::string ws_listen = "127.0.0.1:3102";
  std::string wss_listen = "127.0.0.1:3103";  // only with tls.cert_files
  std::string tls_listen = "127.0.0.1:3104";  // only with tls.cert_files
  std::string grpc_listen = "127.0.0.1:3109";
  std::string grpc_advertise;  // what jobs dial; default: grpc_listen
  net::TlsFiles tls;

  std::vector<std::string> hot_windows;  // "TYPE=TIME"
  session::ShardOptions shard;           // of the whole comet; Shards divides what must be divided
  downlink::InterestOptions interest;
  uplink::LogicLinkOptions logic;
  std::vector<std::string> logic_addresses;  // empty = from the registry
  int nats_replicas = 1;                     // of the registry's bucket
};

// Reads the file and the environment, fills in what is derived.
Result<CometConfig> LoadConfig(const std::string& path);

// What the registry is told; counts are the caller's.
Instance Describe(const CometConfig& config, std::uint64_t boot, std::uint16_t grpc_port);

}  // namespace encke::comet

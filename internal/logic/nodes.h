#pragma once
// Nodes: which comets a new client should try, weighted as goim does (region gain, connection share).
//
// Owner    main of logic; borrows bus::Registry.
// Thread   any (guarded inside).
// Limit    answers at most five comets.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/registry.pb.h"

#include "base/result.h"
#include "bus/registry.h"

namespace encke::logic {

struct NodesOptions {
  std::string default_domain = "127.0.0.1";
  std::string host_domain = ".encke.local";  // appended to a comet id for platform=web
  Duration heartbeat{240'000};
  int heartbeat_max = 2;
  int tcp_port = 3101;
  int ws_port = 3102;
  int wss_port = 3103;
  double region_weight = 1.6;
  int backoff_max_delay = 300;  // seconds, only reported
  int backoff_base_delay = 3;
  double backoff_factor = 1.8;
  double backoff_jitter = 0.3;
  std::map<std::string, std::vector<std::string>> regions;  // region -> CIDR blocks
};

class Nodes {
 public:
  static Result<std::unique_ptr<Nodes>> Make(bus::Registry& registry, const NodesOptions& options);
  ~Nodes();
  Nodes(const Nodes&) = delete;
  Nodes& operator=(const Nodes&) = delete;

  // Public addresses, best first; platform "web": "<id><host_domain>".  Never empty.
  std::vector<std::string> Weighted(std::string_view platform, std::string_view client_ip);
  // All comets that take new clients.
  std::vector<Instance> Instances() const;
  const NodesOptions& options() const;

 private:
  class Impl;
  Nodes();
  std::unique_ptr<Impl> impl_;
};

}  // namespace encke::logic

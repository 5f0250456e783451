#pragma once
// Nodes: which comets a new client should try, weighted as goim does (region gain, connection
// share).
//
// Owner    main of logic; borrows bus::Registry.
// Thread   any (guarded inside).  The registry is looked at by the callers, once a second at most.
// Limit    answers name at most five comets.

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/registry.pb.h"

#include "base/result.h"
#include "bus/registry.h"

namespace encke::presence {

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

// Address -> region, by the longest block that holds it.
class RegionTable {
 public:
  static Result<RegionTable> Make(const std::map<std::string, std::vector<std::string>>& regions);
  std::string Find(std::string_view ip) const;  // "": unknown, or not an address

 private:
  using Bytes = std::array<unsigned char, 16>;  // IPv4 as ::ffff:a.b.c.d
  struct Block {
    Bytes bytes;
    int bits;
    std::string region;
  };
  static bool ParseAddress(std::string_view text, Bytes* out, bool* v4);
  static Result<Block> ParseBlock(const std::string& text, const std::string& region);
  std::vector<Block> blocks_;  // longest first
};

// goim's weighting.  Each comet has a fixed weight and a count of connections, the latter grown
// here by one for every time it was named first.
class Balancer {
 public:
  static constexpr Duration kDoubt{120'000};

  explicit Balancer(double region_gain) : region_gain_(region_gain) {}
  // A list that is empty, or under half of what we have, is not believed (as in goim); a short one
  // is after kDoubt, an empty one never.  Counts of a comet are read again when it spoke anew.
  void Update(const std::vector<Instance>& comets, std::int64_t now_ms);
  // Best first; the first one's count grows.
  std::vector<Instance> Pick(const std::string& region, std::size_t limit);

 private:
  struct Node {
    Instance instance;
    std::int64_t connections = 0;
    std::int64_t weight = 0;  // of the Pick that is under way
  };
  std::int64_t WeightOf(const Node& node, double gain) const;

  double region_gain_;
  std::vector<Node> nodes_;
  std::int64_t total_weight_ = 0, total_connections_ = 0;
  std::int64_t doubted_since_ms_ = 0;  // 0: not now
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

// Addresses of these comets for a client of that platform; the default domain when there are none.
std::vector<std::string> AddressesOf(const std::vector<Instance>& comets,
                                     std::string_view platform,
                                     const NodesOptions& options);

}  // namespace encke::presence

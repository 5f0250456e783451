#pragma once
// Admin: the HTTP door for operators: /metrics, /healthz, /readyz.
//
// Owner    main of comet.
// Thread   the HTTP server's; everything asked is guarded or atomic.
// Limit    web::HttpServer's.

#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"
#include "comet/stats.h"
#include "web/http_server.h"

namespace encke::comet {

struct AdminSources {
  std::function<StatsView()> stats;
  // Empty = ready; else why not.  May block for a second.
  std::function<std::string()> unready;
};

class Admin {
 public:
  Admin(const std::string& address, AdminSources sources);
  Result<std::uint16_t> Start() { return http_.Start(); }
  void Stop() { http_.Stop(); }

 private:
  AdminSources sources_;
  web::HttpServer http_;
};

}  // namespace encke::comet

#pragma once
// Admin: the HTTP door for operators: /metrics, /healthz, /readyz.
//
// Owner    main of logic.
// Thread   the HTTP server's; readiness may answer later, on any thread.
// Limit    web::HttpServer's.

#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"
#include "web/http_server.h"

namespace encke::logic {

struct AdminSources {
  std::function<std::string()> metrics;
  // Answers once: empty = ready, else why not.
  std::function<void(std::function<void(std::string)>)> unready;
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

}  // namespace encke::logic

#pragma once
// Admin: the operators' HTTP door of every daemon: /metrics, /healthz, /readyz.
//
// Owner    main.
// Thread   the HTTP server's two, so that a slow readiness does not hold up a scrape; readiness may
//          answer later, on any thread.
// Limit    64 connections, past it 503 (web::HttpServer's refusal).

#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"
#include "web/http_server.h"

namespace encke::daemon {

struct AdminPages {
  std::function<std::string()> metrics;
  // Answers once: empty = ready, else why not.  May block for a second.
  std::function<void(std::function<void(std::string)>)> unready;
};

class Admin {
 public:
  Admin(const std::string& address, AdminPages pages);
  Result<std::uint16_t> Start() { return http_.Start(); }
  void Stop() { http_.Stop(); }

 private:
  AdminPages pages_;
  web::HttpServer http_;
};

}  // namespace encke::daemon

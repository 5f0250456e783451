#include "daemon/admin.h"

#include <utility>

namespace encke::daemon {
namespace {

web::HttpReply Text(int status, std::string body) {
  return {.status = status,
          .content_type = "text/plain; version=0.0.4; charset=utf-8",
          .body = std::move(body),
          .headers = {}};
}

}  // namespace

Admin::Admin(const std::string& address, AdminPages pages)
    : pages_(std::move(pages)), http_({.address = address, .threads = 2, .connections_max = 64}) {
  http_.Route("GET", "/metrics", [this](web::HttpRequest&&, const web::Responder& out) {
    out.Send(Text(200, pages_.metrics()));
  });
  http_.Route("GET", "/healthz", [](web::HttpRequest&&, const web::Responder& out) {
    out.Send(Text(200, "alive\n"));
  });
  http_.Route("GET", "/readyz", [this](web::HttpRequest&&, const web::Responder& out) {
    pages_.unready([out](const std::string& why) {
      out.Send(why.empty() ? Text(200, "ready\n") : Text(503, why + "\n"));
    });
  });
}

}  // namespace encke::daemon

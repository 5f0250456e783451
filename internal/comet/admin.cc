#include "comet/admin.h"

#include <utility>

namespace encke::comet {
namespace {

web::HttpReply Text(int status, std::string body) {
  return {.status = status,
          .content_type = "text/plain; version=0.0.4",
          .body = std::move(body),
          .headers = {}};
}

}  // namespace

Admin::Admin(const std::string& address, AdminSources sources)
    : sources_(std::move(sources)), http_({.address = address, .threads = 2}) {
  http_.Route("GET", "/metrics", [this](web::HttpRequest&&, const web::Responder& out) {
    out.Send(Text(200, MetricsText(sources_.stats())));
  });
  http_.Route("GET", "/healthz", [](web::HttpRequest&&, const web::Responder& out) {
    out.Send(Text(200, "alive\n"));
  });
  http_.Route("GET", "/readyz", [this](web::HttpRequest&&, const web::Responder& out) {
    const std::string why = sources_.unready();
    out.Send(why.empty() ? Text(200, "ready\n") : Text(503, why + "\n"));
  });
}

}  // namespace encke::comet

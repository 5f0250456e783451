#include "logic/demo_page.h"

#include <string>
#include <utility>

namespace encke::logic {
namespace {

void ServeFile(web::HttpServer& http, std::string path, std::string type, std::string_view file) {
  http.Route("GET", std::move(path),
             [type = std::move(type), file](web::HttpRequest&&, const web::Responder& responder) {
               responder.Send({200, type, std::string(file), {{"Cache-Control", "no-store"}}});
             });
}

}  // namespace

void ServeDemo(web::HttpServer& http) {
  ServeFile(http, "/demo", "text/html; charset=utf-8", kDemoIndex);
  ServeFile(http, "/demo/", "text/html; charset=utf-8", kDemoIndex);
  ServeFile(http, "/demo/demo.js", "text/javascript; charset=utf-8", kDemoScript);
  ServeFile(http, "/demo/encke.js", "text/javascript; charset=utf-8", kClientScript);
}

}  // namespace encke::logic

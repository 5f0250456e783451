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
  for (const DemoFile& file : DemoFiles()) {
    if (file.name == "index.html") {
      ServeFile(http, "/demo", "text/html; charset=utf-8", file.bytes);
      ServeFile(http, "/demo/", "text/html; charset=utf-8", file.bytes);
    } else {
      ServeFile(http, "/demo/" + file.name, "text/javascript; charset=utf-8", file.bytes);
    }
  }
}

}  // namespace encke::logic

#pragma once
// DemoPage: a chat room in the browser, served from inside logic so that `make run` has something
// to show.  The files of clients/ are compiled in; the page pushes through the API of its origin.
//
// Owner    none; the routes belong to the server.
// Thread   any.
// Limit    constants.

#include <string_view>

#include "web/http_server.h"

namespace encke::logic {

// GET /demo, /demo/demo.js, /demo/encke.js; no key is asked for, no cache may keep them.
void ServeDemo(web::HttpServer& http);

// Made from clients/demo and clients/js by scripts/embed.cmake.
extern const std::string_view kDemoIndex;
extern const std::string_view kDemoScript;
extern const std::string_view kClientScript;

}  // namespace encke::logic

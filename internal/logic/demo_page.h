#pragma once
// DemoPage: chat rooms in the browser, served from inside logic so that `make run` has something
// to show.  The files of clients/demo and clients/js are compiled in; what version 1 says goes
// through the API of the page's origin.
//
// Owner    none; the routes belong to the server.
// Thread   any.
// Limit    constants.

#include <string>
#include <string_view>
#include <vector>

#include "web/http_server.h"

namespace encke::logic {

// GET /demo (index.html) and /demo/FILE; no key is asked for, no cache may keep them.
void ServeDemo(web::HttpServer& http);

struct DemoFile {
  std::string name;
  std::string_view bytes;  // of the program
};
// Made by scripts/embed.cmake.
std::vector<DemoFile> DemoFiles();

}  // namespace encke::logic

#pragma once
// HttpServerTest: a server on a free port with four routes to be asked over raw sockets.

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "base/threads.h"
#include "unit/web/raw_client.h"
#include "web/http_server.h"

namespace encke::web {

inline HttpReply Text(std::string body) { return {200, "text/plain", std::move(body), {}}; }

inline std::string Post(std::string_view target, std::string_view body) {
  return fmt::format("POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{}", target,
                     body.size(), body);
}

inline std::string Get(std::string_view target) {
  return fmt::format("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", target);
}

// Routes: POST /echo answers method, path, query and body; GET /later is answered by whoever takes
// the responder from `waiting`, and so is GET /together, which is taken together; GET /big?<n>
// answers n bytes; GET /never drops its responder.
class HttpServerTest : public ::testing::Test {
 protected:
  std::uint16_t Serve(HttpOptions options = {}) {
    server = std::make_unique<HttpServer>(options);
    server->Route("POST", "/echo", [](HttpRequest&& request, const Responder& responder) {
      responder.Send(Text(
          fmt::format("{} {} {} {}", request.method, request.path, request.query, request.body)));
    });
    const auto later = [this](HttpRequest&& request, const Responder& responder) {
      waiting.With([&](auto& list) { list.emplace_back(request.query, responder); });
      arrived.fetch_add(1);
      arrived.notify_all();
    };
    server->Route("GET", "/later", later);
    server->Route("GET", "/together", later, Together::kYes);
    server->Route("GET", "/big", [](HttpRequest&& request, const Responder& responder) {
      responder.Send(Text(std::string(std::stoul(request.query), 'b')));
    });
    server->Route("GET", "/never", [](HttpRequest&&, const Responder&) {});
    auto port = server->Start();
    EXPECT_TRUE(port) << (port ? "" : port.error().text);
    return port ? *port : 0;
  }

  using Waiting = std::vector<std::pair<std::string, Responder>>;
  // Those that wait when `count` have come since the start.
  Waiting TakeWaiting(int count) {
    for (int seen = arrived.load(); seen < count; seen = arrived.load()) {
      arrived.wait(seen);
    }
    return waiting.With([](Waiting& list) { return std::exchange(list, {}); });
  }

  Guarded<Waiting> waiting;
  Waiting gone;
  std::atomic<int> arrived{0};
  std::unique_ptr<HttpServer> server;
};

}  // namespace encke::web

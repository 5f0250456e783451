#pragma once
// HttpServer: HTTP/1.1 with keep-alive and pipelining over libwebsockets, on N threads.
//
// A route answers through a Responder, now or later, from any thread.  One context per thread; an
// acceptor thread deals connections round robin.  Requests of one connection come to their handlers
// in their order, and so do the answers.  One is begun when those before it are answered, unless
// they are all for the same route and that route takes them together (Together::kYes).  A body may
// come in chunks; one over body_bytes_max is answered 413, an unknown path or method by `fallback`.
// After a refusal, which waits for the answers before it, the connection is closed.
//
// Owner    main.  Routes are fixed before Start.
// Thread   handlers run on the server's threads; Responder: any.
// Limit    connections_max (503 past it), body_bytes_max, header_bytes_max (431), idle_timeout for
//          a request to be whole and for a reply to be taken; pipeline_max requests of a connection
//          with their handlers: then it is not read past 256 KiB.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/result.h"

namespace encke::web {

struct HttpOptions {
  std::string address = "127.0.0.1:0";
  int threads = 1;
  std::size_t body_bytes_max = 512UL * 1024;
  std::size_t header_bytes_max = 1024UL * 1024;  // lists travel in the query; Go allows as much
  std::size_t connections_max = 8192;
  std::size_t pipeline_max = 32;
  Duration idle_timeout{60'000};
};

struct HttpRequest {
  std::string method;  // "GET", "POST", ...
  std::string path;    // as sent, without the query
  std::string query;   // raw, without '?'
  std::string body;
  std::string peer_ip;
  std::string authorization;  // header values, empty when absent
  std::string api_key;        // X-API-Key
  std::string forwarded_for;  // X-Forwarded-For
  std::string real_ip;        // X-Real-IP
  std::string content_type;
};

struct HttpReply {
  int status = 200;
  std::string content_type = "application/json; charset=utf-8";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;  // e.g. {"Location", "/x"}
};

// Copyable; the first Send wins, a Responder that is dropped unanswered answers 500.
class Responder {
 public:
  struct Impl;
  explicit Responder(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
  void Send(HttpReply reply) const;

 private:
  std::shared_ptr<Impl> impl_;
};

// May several requests of one connection be with this route's handler at a time?  Only where their
// coming in order is enough for their effects to be in order.
enum class Together : std::uint8_t { kNo, kYes };

using HttpHandler = std::function<void(HttpRequest&&, const Responder&)>;

struct HttpCounts {
  Counter connections, requests, refused_body, refused_limit, bad_requests, accept_errors;
  Gauge open;
  Histogram answer_us;  // request complete -> reply handed to the kernel
};

class HttpServer {
 public:
  explicit HttpServer(const HttpOptions& options);
  ~HttpServer();  // Stop
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  void Route(std::string method,
             std::string path,
             HttpHandler handler,
             Together together = Together::kNo);
  // Every method and path below `prefix` for which there is no route.
  void RouteBelow(std::string prefix, HttpHandler handler);
  // Routes are exact; everything else comes here.  Default: 404, "404 page not found", text/plain.
  void Fallback(HttpHandler handler);

  Result<std::uint16_t> Start();  // binds and runs; answers the port
  void StopAccepting();           // new connections are refused; those open get answers
  void Stop();                    // waits for answers under way, at most 5 s
  const HttpCounts& counts() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// "a=1&b=2&a=3" -> pairs in order, percent and plus decoded.  As in Go a pair that holds a ';' or a
// broken escape is left out.
std::vector<std::pair<std::string, std::string>> ParseQuery(std::string_view query);

}  // namespace encke::web

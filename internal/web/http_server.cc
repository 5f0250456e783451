#include "web/http_server.h"

#include <cassert>
#include <utility>

#include <unistd.h>

#include "web/acceptor.h"
#include "web/http_loop.h"
#include "web/http_message.h"
#include "web/http_shared.h"

namespace encke::web {
namespace {

constexpr std::int64_t kRefusedMax =
    256;  // connections being told 503; past it they are just closed

void NotFound(HttpRequest&&, const Responder& responder) {
  responder.Send({404, "text/plain", "404 page not found", {}});
}

void BadPath(HttpRequest&&, const Responder& responder) {
  responder.Send({400, "text/plain; charset=utf-8", "400 Bad Request", {}});
}

}  // namespace

const HttpShared::Row& HttpShared::Find(std::string_view method, std::string_view sent) const {
  const bool escaped = sent.find('%') != std::string_view::npos;
  const auto decoded = escaped ? DecodePath(sent) : std::nullopt;
  if (escaped && !decoded) return bad_path;
  const std::string_view path = decoded ? std::string_view(*decoded) : sent;
  for (const Row& row : routes) {
    if (row.path == path && row.method == method) return row;
  }
  for (const Row& row : prefixes) {
    if (path.starts_with(row.path)) return row;
  }
  return fallback;
}

class HttpServer::Impl {
 public:
  explicit Impl(const HttpOptions& options) {
    shared.options = options;
    shared.fallback.handler = NotFound;
    shared.bad_path.handler = BadPath;
  }

  Status MakeLoops();
  void Deal(int fd, std::string peer_ip);

  HttpShared shared;
  std::vector<std::unique_ptr<HttpLoop>> loops;
  std::unique_ptr<Acceptor> acceptor;
  std::size_t next_loop = 0;  // of the acceptor's thread
};

Status HttpServer::Impl::MakeLoops() {
  for (int i = 0; i < shared.options.threads; ++i) {
    auto loop = HttpLoop::Make(shared);
    if (!loop) return loop.error();
    loops.push_back(std::move(*loop));
  }
  return Ok{};
}

void HttpServer::Impl::Deal(int fd, std::string peer_ip) {
  const auto limit = static_cast<std::int64_t>(shared.options.connections_max);
  const bool refused = shared.counts.open.value() >= limit;
  if (refused && shared.refused_open.value() >= kRefusedMax) {
    shared.counts.refused_limit.Add();
    close(fd);
    return;
  }
  (refused ? shared.refused_open : shared.counts.open).Add(1);
  shared.counts.connections.Add();
  HttpLoop& loop = *loops[next_loop++ % loops.size()];
  if (!loop.mailbox().Put(NewSocket{fd, std::move(peer_ip), refused})) close(fd);
}

HttpServer::HttpServer(const HttpOptions& options) : impl_(std::make_unique<Impl>(options)) {}

HttpServer::~HttpServer() { Stop(); }

void HttpServer::Route(std::string method,
                       std::string path,
                       HttpHandler handler,
                       Together together) {
  assert(impl_->loops.empty());
  impl_->shared.routes.push_back(
      {std::move(method), std::move(path), std::move(handler), together});
}

void HttpServer::RouteBelow(std::string prefix, HttpHandler handler) {
  assert(impl_->loops.empty());
  impl_->shared.prefixes.push_back({"", std::move(prefix), std::move(handler), Together::kNo});
}

void HttpServer::Fallback(HttpHandler handler) {
  assert(impl_->loops.empty());
  impl_->shared.fallback.handler = std::move(handler);
}

Result<std::uint16_t> HttpServer::Start() {
  assert(impl_->loops.empty());
  auto acceptor = Acceptor::Listen(impl_->shared.options.address);
  if (!acceptor) return acceptor.error();
  if (const Status made = impl_->MakeLoops(); !made) {
    impl_->loops.clear();
    return made.error();
  }
  for (const auto& loop : impl_->loops) {
    loop->Start();
  }
  impl_->acceptor = std::move(*acceptor);
  impl_->acceptor->Start(
      impl_->shared.counts.accept_errors,
      [impl = impl_.get()](int fd, std::string peer_ip) { impl->Deal(fd, std::move(peer_ip)); });
  return impl_->acceptor->port();
}

void HttpServer::StopAccepting() {
  if (impl_->acceptor != nullptr) impl_->acceptor->Stop();
}

void HttpServer::Stop() {
  StopAccepting();
  for (const auto& loop : impl_->loops) {
    loop->AskToStop();
  }
  for (const auto& loop : impl_->loops) {
    loop->Join();
  }
}

const HttpCounts& HttpServer::counts() const { return impl_->shared.counts; }

}  // namespace encke::web

#include "web/acceptor.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fmt/core.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/threads.h"

namespace encke::web {
namespace {

constexpr int kBacklog = 4096;
constexpr int kAcceptsPerRound = 64;
constexpr int kPauseMs = 100;  // when accept fails for want of descriptors

struct HostPort {
  std::string host;
  std::string port;
};

Result<HostPort> Split(const std::string& address) {
  const auto colon = address.rfind(':');
  if (colon == std::string::npos || colon + 1 == address.size()) {
    return Error{Errc::kInvalid, fmt::format("listen {}: not host:port", address)};
  }
  std::string host = address.substr(0, colon);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  return HostPort{std::move(host), address.substr(colon + 1)};
}

Error Failed(const std::string& address, const char* why) {
  return Error{Errc::kUnavailable, fmt::format("listen {}: {}", address, why)};
}

Result<int> Bind(const addrinfo& info, const std::string& address) {
  const int fd = socket(info.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return Failed(address, std::strerror(errno));
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, info.ai_addr, info.ai_addrlen) < 0 || listen(fd, kBacklog) < 0) {
    const int why = errno;
    close(fd);
    return Failed(address, std::strerror(why));
  }
  return fd;
}

// An IPv4 client of an IPv6 socket shows as ::ffff:1.2.3.4: we say 1.2.3.4.
std::string TextOf(const sockaddr_storage& peer, socklen_t length) {
  std::array<char, NI_MAXHOST> text{};
  const auto* name = reinterpret_cast<const sockaddr*>(&peer);
  if (getnameinfo(name, length, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) != 0) {
    return "";
  }
  const std::string_view ip = text.data();
  return std::string(ip.starts_with("::ffff:") ? ip.substr(7) : ip);
}

std::uint16_t PortOf(int fd) {
  sockaddr_storage own{};
  socklen_t length = sizeof own;
  getsockname(fd, reinterpret_cast<sockaddr*>(&own), &length);
  return ntohs(own.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&own)->sin6_port
                                         : reinterpret_cast<sockaddr_in*>(&own)->sin_port);
}

}  // namespace

Result<std::unique_ptr<Acceptor>> Acceptor::Listen(const std::string& address) {
  auto parts = Split(address);
  if (!parts) return parts.error();
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const char* host = parts->host.empty() ? nullptr : parts->host.c_str();
  if (const int bad = getaddrinfo(host, parts->port.c_str(), &hints, &found); bad != 0) {
    return Failed(address, gai_strerror(bad));
  }
  const auto fd = Bind(*found, address);
  freeaddrinfo(found);
  if (!fd) return fd.error();
  const int bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (bell < 0) {
    close(*fd);
    return Failed(address, "no eventfd left");
  }
  return std::unique_ptr<Acceptor>(new Acceptor(*fd, bell, PortOf(*fd)));
}

Acceptor::Acceptor(int listener, int bell, std::uint16_t port)
    : listener_(listener), bell_(bell), port_(port) {}

Acceptor::~Acceptor() {
  Stop();
  close(bell_);
}

void Acceptor::Start(Counter& errors, Accepted accepted) {
  errors_ = &errors;
  accepted_ = std::move(accepted);
  thread_ = std::thread([this] { Run(); });
}

void Acceptor::Stop() {
  if (thread_.joinable()) {
    eventfd_write(bell_, 1);
    thread_.join();
  }
  if (listener_ >= 0) close(std::exchange(listener_, -1));
}

void Acceptor::Run() {
  NameThread("http-accept");
  std::array<pollfd, 2> wait = {pollfd{bell_, POLLIN, 0}, pollfd{listener_, POLLIN, 0}};
  bool starved = false;
  for (;;) {
    // While starved only the bell is watched: the listener would be readable all the time.
    const int ready = poll(wait.data(), starved ? 1 : 2, starved ? kPauseMs : -1);
    if (ready < 0 && errno != EINTR) return;
    if (wait[0].revents != 0) return;
    starved = !AcceptSome();
  }
}

bool Acceptor::AcceptSome() {
  for (int i = 0; i < kAcceptsPerRound; ++i) {
    sockaddr_storage peer{};
    socklen_t length = sizeof peer;
    const int fd = accept4(listener_, reinterpret_cast<sockaddr*>(&peer), &length,
                           SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) return true;
      static log::RateLimit limit(1);
      log::WarnSome(limit, "http.accept failed why={}", std::strerror(errno));
      errors_->Add();
      return false;
    }
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    accepted_(fd, TextOf(peer, length));
  }
  return true;
}

}  // namespace encke::web

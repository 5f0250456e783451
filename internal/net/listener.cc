#include "net/listener.h"

#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <string_view>
#include <system_error>
#include <utility>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace encke::net {
namespace {

constexpr int kAcceptFlags = SOCK_NONBLOCK | SOCK_CLOEXEC;

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

bool IsPort(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), port);
  return wrong == std::errc() && !text.empty() && end == text.data() + text.size();
}

// "host:port", "[::1]:port", ":port" for every IPv4 address.
Result<Address> ParseAddress(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos || !IsPort(std::string_view(text).substr(colon + 1))) {
    return Error{Errc::kInvalid, "listen " + text + ": is not host:port"};
  }
  std::string host = text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  if (host.empty()) host = "0.0.0.0";
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int why = ::getaddrinfo(host.c_str(), text.c_str() + colon + 1, &hints, &found);
  if (why != 0) return Error{Errc::kInvalid, "listen " + text + ": " + ::gai_strerror(why)};
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> keep(found, ::freeaddrinfo);
  Address address;
  address.size = found->ai_addrlen;
  std::memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
  return address;
}

void SetOption(int fd, int level, int name, int value) {
  ::setsockopt(fd, level, name, &value, sizeof(value));
}

// Closes unless taken.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  int Take() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

Error Failed(const std::string& address, const char* what) {
  const Errc code = errno == EADDRINUSE ? Errc::kConflict : Errc::kUnavailable;
  return Error{code, "listen " + address + ": " + what + ": " + std::strerror(errno)};
}

// A bind without SO_REUSEPORT fails if anybody listens there, even with it.
Status Claim(const Address& address, const std::string& text) {
  const Descriptor probe(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (probe.get() < 0) return Failed(text, "socket");
  SetOption(probe.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (::bind(probe.get(), address.raw(), address.size) != 0) return Failed(text, "bind");
  return Ok{};
}

// Options of the listener are inherited by what it accepts.
void SetOptions(int fd, const ConnectionsOptions& sockets) {
  SetOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  SetOption(fd, SOL_SOCKET, SO_REUSEPORT, 1);
  SetOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  if (sockets.sndbuf_bytes > 0) SetOption(fd, SOL_SOCKET, SO_SNDBUF, sockets.sndbuf_bytes);
  if (sockets.rcvbuf_bytes > 0) SetOption(fd, SOL_SOCKET, SO_RCVBUF, sockets.rcvbuf_bytes);
}

std::uint16_t PortOf(const sockaddr_storage& storage) {
  if (storage.ss_family == AF_INET6) {
    return ntohs(reinterpret_cast<const sockaddr_in6&>(storage).sin6_port);
  }
  return ntohs(reinterpret_cast<const sockaddr_in&>(storage).sin_port);
}

Peer PeerOf(const sockaddr_storage& storage) {
  Peer peer{};
  peer.port = PortOf(storage);
  const void* ip = &reinterpret_cast<const sockaddr_in&>(storage).sin_addr;
  int family = AF_INET;
  if (storage.ss_family == AF_INET6) {
    const in6_addr& wide = reinterpret_cast<const sockaddr_in6&>(storage).sin6_addr;
    const bool mapped = IN6_IS_ADDR_V4MAPPED(&wide);  // an IPv4 client on an IPv6 socket
    ip = mapped ? static_cast<const void*>(&wide.s6_addr[12]) : &wide;
    family = mapped ? AF_INET : AF_INET6;
  }
  if (::inet_ntop(family, ip, peer.ip, sizeof(peer.ip)) == nullptr) peer.ip[0] = '\0';
  return peer;
}

int OpenSpare() { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }

}  // namespace

Result<Listener> Listener::Open(const ListenOptions& listen, const ConnectionsOptions& sockets) {
  auto address = ParseAddress(listen.address);
  if (!address) return address.error();
  if (listen.claim) {
    if (Status mine = Claim(*address, listen.address); !mine) return mine.error();
  }
  Descriptor socket(::socket(address->storage.ss_family, SOCK_STREAM | kAcceptFlags, 0));
  if (socket.get() < 0) return Failed(listen.address, "socket");
  SetOptions(socket.get(), sockets);
  if (::bind(socket.get(), address->raw(), address->size) != 0) {
    return Failed(listen.address, "bind");
  }
  if (::listen(socket.get(), listen.backlog) != 0) return Failed(listen.address, "listen");
  sockaddr_storage bound{};
  socklen_t size = sizeof(bound);
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&bound), &size) != 0) {
    return Failed(listen.address, "getsockname");
  }
  Descriptor spare(OpenSpare());
  if (spare.get() < 0) return Failed(listen.address, "/dev/null");
  return Listener(socket.Take(), spare.Take(), PortOf(bound), listen);
}

Listener::Listener(int fd, int spare_fd, std::uint16_t port, const ListenOptions& listen)
    : fd_(fd), spare_fd_(spare_fd), port_(port), tag_(listen.tag), tls_(listen.tls) {}

Listener::Listener(Listener&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      spare_fd_(std::exchange(other.spare_fd_, -1)),
      port_(other.port_),
      tag_(other.tag_),
      tls_(other.tls_) {}

Listener::~Listener() {
  if (fd_ >= 0) ::close(fd_);
  if (spare_fd_ >= 0) ::close(spare_fd_);
}

Listener::Got Listener::Accept(int* fd, Peer* peer) {
  sockaddr_storage from{};
  socklen_t size = sizeof(from);
  *fd = ::accept4(fd_, reinterpret_cast<sockaddr*>(&from), &size, kAcceptFlags);
  if (*fd >= 0) {
    *peer = PeerOf(from);
    return Got::kConnection;
  }
  switch (errno) {
    case EAGAIN:
      return Got::kNothing;
    case EMFILE:
    case ENFILE:
      return TurnAway();
    case ENOBUFS:
    case ENOMEM:
      return Got::kExhausted;
    default:  // the client has gone already, or the network has a word about it: accept(2)
      return Got::kFailed;
  }
}

// Else the listener would stay readable for ever and the client would hang.
Listener::Got Listener::TurnAway() {
  if (spare_fd_ < 0) spare_fd_ = OpenSpare();
  if (spare_fd_ < 0) return Got::kExhausted;
  ::close(spare_fd_);
  const int victim = ::accept4(fd_, nullptr, nullptr, kAcceptFlags);
  const int why = errno;
  if (victim >= 0) ::close(victim);
  spare_fd_ = OpenSpare();
  if (victim >= 0) return Got::kTurnedAway;
  return why == EAGAIN ? Got::kNothing : Got::kExhausted;
}

}  // namespace encke::net

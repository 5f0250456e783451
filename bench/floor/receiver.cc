#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ends.h"

namespace encke::floor {
namespace {

constexpr int kPerAddress = 15'000;          // connections from one source address
constexpr std::uint64_t kUnaccepted = 1000;  // below any sensible backlog
constexpr std::size_t kBufferBytes = 256 * 1024;

void Fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

sockaddr_in Loopback(std::uint32_t address, std::uint16_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_addr.s_addr = htonl(address);
  out.sin_port = htons(port);
  return out;
}

int Connect(std::uint16_t port, std::uint32_t from_address) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) Fail("floor: socket");
  const int on = 1;
  setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  const linger gone{1, 0};  // reset on close: nothing stays in TIME_WAIT
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &gone, sizeof gone);
  const sockaddr_in from = Loopback(from_address, 0);
  const sockaddr_in to = Loopback(INADDR_LOOPBACK, port);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&from), sizeof from) != 0) Fail("floor: bind");
  if (connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) Fail("floor: connect");
  fcntl(fd, F_SETFL, O_NONBLOCK);
  return fd;
}

void AwaitAccepted(const Cell& cell, std::uint64_t connected) {
  while (connected > cell.accepted.load(std::memory_order_acquire) + kUnaccepted)
    usleep(200);
}

// Bytes read from one socket, or -1 when it has ended. A short read means empty: no second call.
std::int64_t Drain(int fd, std::vector<char>* buffer) {
  std::int64_t sum = 0;
  for (;;) {
    const ssize_t n = recv(fd, buffer->data(), buffer->size(), 0);
    if (n < 0 && errno == EAGAIN) return sum;
    if (n <= 0) return -1;
    sum += n;
    if (static_cast<std::size_t>(n) < buffer->size()) return sum;
  }
}

void ReadAll(int epoll, int open, Cell* cell) {
  std::vector<char> buffer(kBufferBytes);
  std::array<epoll_event, 512> events{};
  std::uint64_t received = 0;
  while (open > 0) {
    const int n = epoll_wait(epoll, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < n; ++i) {
      const int fd = events[static_cast<std::size_t>(i)].data.fd;
      const std::int64_t got = Drain(fd, &buffer);
      if (got >= 0) {
        received += static_cast<std::uint64_t>(got);
      } else {
        close(fd);
        --open;
      }
    }
    cell->received.store(received, std::memory_order_release);
  }
}

}  // namespace

void Receive(std::uint16_t port, std::uint32_t pair, int connections, Cell* cell) {
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) Fail("floor: epoll_create1");
  for (int i = 0; i < connections; ++i) {
    const std::uint32_t host = (pair << 8) + 1 + static_cast<std::uint32_t>(i / kPerAddress);
    AwaitAccepted(*cell, static_cast<std::uint64_t>(i));
    const int fd = Connect(port, 0x7f010000U + host);
    epoll_event event{};
    event.events = EPOLLIN | EPOLLRDHUP | EPOLLET;
    event.data.fd = fd;
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) Fail("floor: epoll_ctl");
  }
  ReadAll(epoll, connections, cell);
}

}  // namespace encke::floor

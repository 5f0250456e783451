#include "gate/clients.h"

#include <array>
#include <cassert>
#include <csignal>
#include <cstdlib>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire/package.h"
#include "wire/ws_frame.h"

namespace encke::gate {
namespace {

struct Order {
  char what = 0;
  std::uint32_t count = 0;
};

// The other process: obeys, and reads and throws away whatever comes meanwhile.
class Crowd {
 public:
  Crowd(std::uint16_t tcp, std::uint16_t ws, int control)
      : ports_{tcp, ws}, control_(control), epoll_(epoll_create1(0)), buffer_(1 << 20) {
    Watch(control_);
  }

  void Run() {
    std::array<epoll_event, 256> events{};
    for (;;) {
      const int n = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
      for (int i = 0; i < n; ++i) {
        const int fd = events[static_cast<std::size_t>(i)].data.fd;
        if (fd == control_) {
          Obey();
        } else {
          Read(fd);
        }
      }
    }
  }

 private:
  void Watch(int fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  }

  void Obey() {
    Order order;
    if (read(control_, &order, sizeof order) != sizeof order) _exit(0);
    if (order.what == 'h') {
      for (std::size_t i = 0; i < fds_.size(); ++i)
        Say(i, 2, {});
      owed_ = fds_.size();
      return;
    }
    owed_ = order.count - fds_.size();
    while (fds_.size() < order.count)
      Connect();
  }

  void Connect() {
    const bool ws = fds_.size() % 2 == 1;
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(ports_[ws ? 1 : 0]);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) _exit(1);
    fds_.push_back(fd);
    if (ws) Upgrade(fd);
    Say(fds_.size() - 1, 7, "{}");
    fcntl(fd, F_SETFL, O_NONBLOCK);
    Watch(fd);
  }

  void Upgrade(int fd) {
    static constexpr std::string_view kRequest =
        "GET /sub HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    if (write(fd, kRequest.data(), kRequest.size()) < 0) _exit(1);
    std::string answer;
    while (!answer.ends_with("\r\n\r\n")) {
      const ssize_t n = read(fd, buffer_.data(), buffer_.size());
      if (n <= 0) _exit(1);
      answer.append(buffer_.data(), static_cast<std::size_t>(n));
    }
  }

  void Say(std::size_t client, std::int32_t op, std::string_view body) {
    std::string package;
    wire::AppendPackage(&package, {.ver = 1, .op = op, .seq = 1, .body = body});
    std::string out;
    if (client % 2 == 1) wire::AppendWsHeader(&out, wire::WsOpcode::kBinary, package.size());
    out += package;
    if (write(fds_[client], out.data(), out.size()) < 0) _exit(1);
  }

  void Read(int fd) {
    if (read(fd, buffer_.data(), buffer_.size()) <= 0) _exit(0);
    if (owed_ == 0 || --owed_ > 0) return;  // every client is owed one answer, and gets it whole
    if (write(control_, "d", 1) != 1) _exit(0);
  }

  const std::array<std::uint16_t, 2> ports_;
  const int control_, epoll_;
  std::vector<char> buffer_;
  std::vector<int> fds_;
  std::size_t owed_ = 0;
};

}  // namespace

Clients::Clients(std::uint16_t tcp, std::uint16_t ws) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) std::abort();
  if (fork() == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(pair[0]);
    Crowd(tcp, ws, pair[1]).Run();
  }
  close(pair[1]);
  control_ = pair[0];
}

Clients::~Clients() { close(control_); }

void Clients::Ask(char what, std::uint32_t count) {
  Order order;
  order.what = what;
  order.count = count;
  if (write(control_, &order, sizeof order) != sizeof order) std::abort();
  waiting_ = true;
}

void Clients::Connect(std::uint32_t total) { Ask('c', total); }

void Clients::Heartbeat() { Ask('h', 0); }

bool Clients::done() {
  if (!waiting_) return true;
  pollfd look{control_, POLLIN, 0};
  if (poll(&look, 1, 0) <= 0) return false;
  char answer = 0;
  if (read(control_, &answer, 1) != 1) std::abort();
  waiting_ = false;
  return true;
}

}  // namespace encke::gate

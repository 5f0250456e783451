#include "pusher.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "swarm.h"

namespace encke::bench {
namespace {

int Dial(const std::string& text) {
  const auto colon = text.rfind(':');
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(std::atoi(text.c_str() + colon + 1)));
  inet_pton(AF_INET, text.substr(0, colon).c_str(), &to.sin_addr);
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const timeval patience{10, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0) return fd;
  close(fd);
  return -1;
}

void SleepUntil(std::int64_t us) {
  const timespec t{us / 1'000'000, us % 1'000'000 * 1000};
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, nullptr);
}

// Whole answer read; true when the push was accepted.
bool ReadAnswer(int fd) {
  std::string in;
  char buffer[4096];
  while (true) {
    const ssize_t n = recv(fd, buffer, sizeof buffer, 0);
    if (n <= 0) return false;
    in.append(buffer, static_cast<std::size_t>(n));
    const auto head = in.find("\r\n\r\n");
    if (head == std::string::npos) continue;
    std::string lower = in.substr(0, head);
    for (char& c : lower)
      c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    const auto field = lower.find("content-length:");
    const auto length =
        field == std::string::npos ? 0UL : std::strtoul(lower.c_str() + field + 15, nullptr, 10);
    if (in.size() < head + 4 + length) continue;
    return in.compare(9, 3, "200") == 0 && in.find("\"code\":0", head) != std::string::npos;
  }
}

}  // namespace

void RunPusher(const Options& options, int caller, std::int64_t start_us, PushResult* result) {
  const auto colon = options.room.find("://");
  const std::string path = "/goim/push/room?operation=1000&type=" + options.room.substr(0, colon) +
                           "&room=" + options.room.substr(colon + 3);
  const auto total = static_cast<std::int64_t>(options.push_rate * options.seconds);
  int fd = -1;
  for (std::int64_t n = caller; n < total; n += options.callers) {
    const auto planned =
        start_us + static_cast<std::int64_t>(static_cast<double>(n) * 1e6 / options.push_rate);
    SleepUntil(planned);
    if (fd < 0) fd = Dial(options.http);
    char stamp[32];
    std::snprintf(stamp, sizeof stamp, "%016llx %08x", static_cast<unsigned long long>(planned),
                  static_cast<unsigned>(n));
    std::string body = stamp;
    if (body.size() < static_cast<std::size_t>(options.body_bytes)) {
      body.resize(static_cast<std::size_t>(options.body_bytes), '.');
    }
    const std::string request = "POST " + path + " HTTP/1.1\r\nHost: bench\r\nContent-Length: " +
                                std::to_string(body.size()) + "\r\n\r\n" + body;
    ++result->offered;
    const bool fine =
        fd >= 0 && send(fd, request.data(), request.size(), MSG_NOSIGNAL) > 0 && ReadAnswer(fd);
    result->answer_us.Add(static_cast<std::uint64_t>(NowUs() - planned));
    ++(fine ? result->accepted : result->refused);
    if (!fine && fd >= 0) {
      close(fd);
      fd = -1;
    }
  }
  if (fd >= 0) close(fd);
}

}  // namespace encke::bench

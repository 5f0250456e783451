#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ends.h"

namespace encke::floor {
namespace {

constexpr std::uint64_t kRoundsOutstanding = 2;
constexpr std::size_t kHeaderBytes = 16;

double Now() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

void SleepUntil(double when) {
  timespec t{};
  t.tv_sec = static_cast<time_t>(when);
  t.tv_nsec = static_cast<long>((when - static_cast<double>(t.tv_sec)) * 1e9);
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, nullptr);
}

double Seconds(const timeval& t) {
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
}

void PutBig(std::string* out, std::uint64_t value, int bytes) {
  for (int i = bytes - 1; i >= 0; --i)
    out->push_back(static_cast<char>(value >> (8 * i)));
}

void PutHeader(std::string* out, std::size_t body, std::uint32_t op) {
  PutBig(out, kHeaderBytes + body, 4);
  PutBig(out, kHeaderBytes, 2);
  PutBig(out, 1, 2);
  PutBig(out, op, 4);
  PutBig(out, 0, 4);
}

// The bytes a comet would write for a batch: packages one behind the other; for WebSocket one
// binary frame around them and a header of op 9.
std::string Frames(const Command& command) {
  std::string packages;
  for (std::uint32_t i = 0; i < command.batch; ++i) {
    PutHeader(&packages, command.body_bytes, 1000);
    packages.append(command.body_bytes, 'x');
  }
  if (!command.ws) return packages;
  std::string frame;
  const std::size_t payload = kHeaderBytes + packages.size();
  frame.push_back(static_cast<char>(0x82));
  if (payload < 126) {
    PutBig(&frame, payload, 1);
  } else {
    PutBig(&frame, payload < 65536 ? 126 : 127, 1);
    PutBig(&frame, payload, payload < 65536 ? 2 : 8);
  }
  PutHeader(&frame, packages.size(), 9);
  return frame + packages;
}

std::vector<int> AcceptAll(int listener, int connections, Cell* cell) {
  std::vector<int> fds;
  fds.reserve(static_cast<std::size_t>(connections));
  while (static_cast<int>(fds.size()) < connections) {
    const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      std::perror("floor: accept");
      std::exit(1);
    }
    fds.push_back(fd);
    cell->accepted.store(fds.size(), std::memory_order_release);
  }
  return fds;
}

void SendRound(const std::vector<int>& fds, const std::string& frames, Outcome* out) {
  for (const int fd : fds) {
    const ssize_t n = send(fd, frames.data(), frames.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    out->bytes += n > 0 ? static_cast<std::uint64_t>(n) : 0;
    if (n == static_cast<ssize_t>(frames.size())) {
      ++out->sends;
    } else {
      ++out->refused;
    }
  }
  ++out->rounds;
}

void AwaitReceived(const Cell& cell, std::uint64_t bytes) {
  while (cell.received.load(std::memory_order_acquire) < bytes)
    usleep(500);
}

Outcome Run(const Command& command, const std::vector<int>& fds, const Cell& cell) {
  const std::string frames = Frames(command);
  const std::uint64_t base = cell.received.load();
  const std::uint64_t ahead = kRoundsOutstanding * frames.size() * fds.size();
  Outcome out;
  rusage before{}, after{};
  getrusage(RUSAGE_SELF, &before);
  const double start = Now();
  while (command.rounds > 0 ? out.rounds < command.rounds
                            : out.rounds == 0 || Now() < start + command.seconds) {
    if (command.rounds_per_s > 0) {
      SleepUntil(start + static_cast<double>(out.rounds) / command.rounds_per_s);
    }
    if (out.bytes > ahead) AwaitReceived(cell, base + out.bytes - ahead);
    SendRound(fds, frames, &out);
  }
  getrusage(RUSAGE_SELF, &after);
  out.wall_s = Now() - start;
  out.user_s = Seconds(after.ru_utime) - Seconds(before.ru_utime);
  out.system_s = Seconds(after.ru_stime) - Seconds(before.ru_stime);
  AwaitReceived(cell, base + out.bytes);
  return out;
}

}  // namespace

void Send(int listener, int control, int connections, Cell* cell) {
  const int on = 1;
  setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // inherited
  const std::vector<int> fds = AcceptAll(listener, connections, cell);
  close(listener);
  const Outcome ready;
  if (write(control, &ready, sizeof ready) != sizeof ready) return;
  Command command;
  while (read(control, &command, sizeof command) == sizeof command) {
    const Outcome out = Run(command, fds, *cell);
    if (write(control, &out, sizeof out) != sizeof out) return;
  }
}

}  // namespace encke::floor

// encke-relay: what this machine needs to hand one small message through as many processes and
// threads as a push crosses (logic, NATS, job, comet), with nothing done on the way.  A lone
// message's latency is measured against this, in the same run.
//
//   encke-relay [--processes=4] [--rate=10] [--seconds=10] [--bytes=240]
//
// Between two processes: TCP over loopback and a blocking read.  Within each: two threads and a
// condition variable.  Sent on schedule; prints one JSON object, in microseconds.  Status 1: not
// every message arrived.

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "tally/histogram.h"

namespace {

using encke::bench::NowUs;
using Bytes = std::vector<char>;

constexpr std::size_t kWaitingMax = 64;  // of a process; then its reader waits, and TCP with it

struct Options {
  int processes = 4;
  double rate = 10;
  double seconds = 10;
  int bytes = 240;

  bool Parse(int argc, char** argv) {
    for (int i = 1; i < argc; ++i) {
      char rest = 0;  // behind the number there is nothing
      const bool known = std::sscanf(argv[i], "--processes=%d%c", &processes, &rest) == 1 ||
                         std::sscanf(argv[i], "--rate=%lf%c", &rate, &rest) == 1 ||
                         std::sscanf(argv[i], "--seconds=%lf%c", &seconds, &rest) == 1 ||
                         std::sscanf(argv[i], "--bytes=%d%c", &bytes, &rest) == 1;
      if (!known) return std::fprintf(stderr, "relay: %s is no flag of mine\n", argv[i]), false;
    }
    const bool fits = processes >= 1 && processes <= 64 && rate > 0 && rate <= 10'000 &&
                      seconds > 0 && seconds <= 600 && bytes >= 8 && bytes <= 65'536;
    if (!fits) {
      std::fprintf(stderr,
                   "relay: processes are 1 to 64, rate up to 10000, seconds up to 600, bytes 8 to "
                   "65536\n");
    }
    return fits;
  }
  int count() const { return std::max(1, static_cast<int>(rate * seconds)); }
};

struct Link {
  int in = -1;   // who writes
  int out = -1;  // who reads
};

void Must(bool done, const char* what) {
  if (done) return;
  std::perror(what);
  std::exit(1);
}

Link Connect() {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  auto* address = reinterpret_cast<sockaddr*>(&at);
  Must(bind(listener, address, size) == 0 && listen(listener, 1) == 0 &&
           getsockname(listener, address, &size) == 0,
       "relay: listen");
  Link link;
  link.in = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  Must(connect(link.in, address, size) == 0, "relay: connect");
  link.out = accept(listener, nullptr, nullptr);
  Must(link.out >= 0, "relay: accept");
  const int on = 1;
  setsockopt(link.in, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  close(listener);
  return link;
}

bool ReadAll(int fd, Bytes* to) {
  return recv(fd, to->data(), to->size(), MSG_WAITALL) == static_cast<ssize_t>(to->size());
}

bool SendAll(int fd, const Bytes& from) {
  return send(fd, from.data(), from.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(from.size());
}

// One process on the way: this thread reads, another one sends.  At most one of them waits.
bool Relay(int from, int to, int bytes) {
  std::mutex lock;
  std::condition_variable changed;
  std::vector<Bytes> waiting;
  bool over = false;
  bool sent = true;
  std::thread sender([&] {
    std::unique_lock held(lock);
    while (changed.wait(held, [&] { return over || !waiting.empty(); }), !waiting.empty()) {
      const std::vector<Bytes> taken = std::exchange(waiting, {});
      changed.notify_one();
      held.unlock();
      for (const Bytes& one : taken)
        sent = SendAll(to, one) && sent;
      held.lock();
    }
  });
  for (Bytes one(static_cast<std::size_t>(bytes)); ReadAll(from, &one);) {
    std::unique_lock held(lock);
    changed.wait(held, [&] { return waiting.size() < kWaitingMax; });
    waiting.push_back(one);
    changed.notify_one();
  }
  {
    const std::lock_guard held(lock);
    over = true;
    changed.notify_one();
  }
  sender.join();
  shutdown(to, SHUT_WR);
  return sent;
}

bool Receive(int from, const Options& options) {
  encke::bench::Histogram took_us;
  for (Bytes one(static_cast<std::size_t>(options.bytes)); ReadAll(from, &one);) {
    std::int64_t sent_us = 0;
    std::memcpy(&sent_us, one.data(), sizeof sent_us);
    took_us.Add(static_cast<std::uint64_t>(NowUs() - sent_us));
  }
  std::printf("%s\n", took_us.Summary().dump().c_str());
  return took_us.total() == static_cast<std::uint64_t>(options.count());
}

bool Generate(int to, const Options& options) {
  Bytes one(static_cast<std::size_t>(options.bytes));
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < options.count(); ++i) {
    const std::chrono::nanoseconds due(static_cast<std::int64_t>(i / options.rate * 1e9));
    std::this_thread::sleep_until(begin + due);
    const std::int64_t now_us = NowUs();
    std::memcpy(one.data(), &now_us, sizeof now_us);
    if (!SendAll(to, one)) return false;
  }
  return true;
}

template <class Work>
void Fork(const Work& work) {
  const pid_t child = fork();
  Must(child >= 0, "relay: fork");
  if (child != 0) return;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const bool well = work();
  std::fflush(stdout);
  _exit(well ? 0 : 1);
}

int Main(int argc, char** argv) {
  Options options;
  if (!options.Parse(argc, argv)) return 2;
  std::vector<Link> links;
  for (int i = 0; i <= options.processes; ++i)
    links.push_back(Connect());
  for (int i = 0; i < options.processes; ++i)
    Fork([&] { return Relay(links[i].out, links[i + 1].in, options.bytes); });
  Fork([&] { return Receive(links.back().out, options); });
  bool well = Generate(links[0].in, options);
  shutdown(links[0].in, SHUT_WR);
  for (int status = 0; wait(&status) > 0;)
    well = well && status == 0;
  return well ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) { return Main(argc, argv); }

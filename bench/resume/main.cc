// encke-resume: many clients of version 2 (clients/cpp) that come back by themselves, and an exact
// account of what each was called back with.  bench/lab/resume.py takes their comet away,
// bench/lab/heal.py their timelines.
//
//   encke-resume --addresses=127.0.0.1:3101,127.0.0.1:3201 --connections=10000 --rooms=100
//       obeys lines of JSON on standard input, one answer each:
//       {"do":"mark"}                       from now on lost connections count
//       {"do":"report","accepted":[..]}     accepted: pushes of each room until now
//       {"do":"quit"}
//
// Client i is user mid_base + i in room ROOM-(i % rooms).  All dial the first address first, and
// the next one each time they lose their connection.

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "clock.h"
#include "load/commands.h"
#include "resume/follower.h"

namespace encke::bench {
namespace {

constexpr std::int64_t kTickUs = 20'000;
constexpr int kEventsMax = 512;

struct Flags {
  std::map<std::string, std::string> values = {
      {"addresses", "127.0.0.1:3101"}, {"connections", "1000"}, {"rooms", "10"},
      {"room", "group://resume"},      {"mid_base", "1"},       {"rate", "5000"}};

  bool Parse(int argc, char** argv) {
    for (int i = 1; i < argc; ++i) {
      const std::string word = argv[i];
      const auto equals = word.find('=');
      const auto flag = values.find(word.starts_with("--") ? word.substr(2, equals - 2) : "");
      if (flag == values.end() || equals == std::string::npos) {
        std::fprintf(stderr, "encke-resume: unknown flag: %s\n", word.c_str());
        return false;
      }
      flag->second = word.substr(equals + 1);
    }
    return true;
  }
  std::int64_t Number(const char* name) const { return std::atoll(values.at(name).c_str()); }
  std::vector<std::string> Addresses() const {
    std::vector<std::string> all(1);
    for (const char c : values.at("addresses")) {
      if (c == ',') {
        all.emplace_back();
      } else {
        all.back().push_back(c);
      }
    }
    return all;
  }
};

class Flock {
 public:
  explicit Flock(const Flags& flags)
      : rooms_(std::max<std::int64_t>(flags.Number("rooms"), 1)),
        rate_(std::max<std::int64_t>(flags.Number("rate"), 1)),
        epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    for (std::int64_t i = 0; i < flags.Number("connections"); ++i) {
      client::ClientOptions options;
      options.addresses = flags.Addresses();
      options.token = Reply{{"mid", flags.Number("mid_base") + i}}.dump();
      options.device = "bench";
      options.seed = static_cast<std::uint32_t>(i + 1);
      followers_.push_back(std::make_unique<Follower>(
          std::move(options), flags.values.at("room") + "-" + std::to_string(i % rooms_)));
    }
  }
  ~Flock() { close(epoll_); }

  // Until standard input ends or says quit.
  void Run() {
    epoll_event input{.events = EPOLLIN, .data = {.u64 = followers_.size()}};
    epoll_ctl(epoll_, EPOLL_CTL_ADD, STDIN_FILENO, &input);
    fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
    began_us_ = NowUs();
    std::vector<epoll_event> events(kEventsMax);
    for (std::int64_t tick_us = 0; !over_;) {
      const int n = epoll_wait(epoll_, events.data(), kEventsMax, 5);
      for (int i = 0; i < n; ++i) {
        const std::size_t at = events[static_cast<std::size_t>(i)].data.u64;
        at == followers_.size() ? Listen() : Serve(at);
      }
      if (NowUs() - tick_us < kTickUs) continue;
      tick_us = NowUs();
      TickAll(tick_us);
    }
  }

 private:
  void Serve(std::size_t at) {
    followers_[at]->OnReady(NowUs());
    Watch(at);
  }

  // They begin `rate` a second.
  void TickAll(std::int64_t now_us) {
    const auto begun = static_cast<std::size_t>((now_us - began_us_) * rate_ / 1'000'000 + 1);
    for (std::size_t at = 0; at < std::min(begun, followers_.size()); ++at) {
      followers_[at]->Tick(now_us);
      Watch(at);
    }
  }

  // A closed descriptor leaves epoll by itself; a number may come back as another socket.
  void Watch(std::size_t at) {
    Follower& one = *followers_[at];
    epoll_event event{.events = one.wanted(), .data = {.u64 = at}};
    if (one.fd() < 0) return;
    const bool added = one.dialled() != one.watched_life &&
                       epoll_ctl(epoll_, EPOLL_CTL_ADD, one.fd(), &event) == 0;
    if (!added && one.watched != event.events) epoll_ctl(epoll_, EPOLL_CTL_MOD, one.fd(), &event);
    one.watched_life = one.dialled();
    one.watched = event.events;
  }

  void Listen() {
    char buffer[65536];
    const ssize_t n = read(STDIN_FILENO, buffer, sizeof buffer);
    over_ = over_ || n == 0;
    if (n > 0) input_.append(buffer, static_cast<std::size_t>(n));
    for (auto end = input_.find('\n'); end != std::string::npos; end = input_.find('\n')) {
      const Reply reply = Obey(verbs_, input_.substr(0, end));
      input_.erase(0, end + 1);
      Say(reply);
      over_ = over_ || reply["did"] == "quit";
    }
  }

  Reply Mark() {
    for (const auto& one : followers_)
      one->Mark();
    return {{"now_us", NowUs()}};
  }

  // Times are of the clock that all processes of the machine share.
  Reply Report(const Command& c) const {
    const auto accepted = c.value("accepted", std::vector<std::uint64_t>());
    std::uint64_t live = 0, lost = 0, resumed = 0, received = 0, missing = 0, whole = 0;
    std::uint64_t duplicates = 0, out_of_order = 0, reloads = 0, reloaded = 0;
    std::int64_t up_us = 0;
    std::vector<std::int64_t> times;
    for (std::size_t at = 0; at < followers_.size(); ++at) {
      const Follower& one = *followers_[at];
      const Received& got = one.received();
      const std::size_t room = at % static_cast<std::size_t>(rooms_);
      const std::uint64_t expected = room < accepted.size() ? accepted[room] : got.last;
      const std::uint64_t lacks = got.Lacks(expected);
      live += one.live() ? 1 : 0;
      lost += one.lost() ? 1 : 0;
      resumed += one.lost() && one.resumed_us() > 0 ? 1 : 0;
      if (one.lost() && one.resumed_us() > 0) times.push_back(one.resumed_us());
      if (one.lost()) up_us = std::max(up_us, one.up_us());
      received += got.count;
      missing += lacks;
      duplicates += got.duplicates;
      out_of_order += got.out_of_order;
      reloads += got.reloads;
      reloaded += got.reloads > 0 ? 1 : 0;
      whole += lacks == 0 && got.duplicates + got.out_of_order + got.reloads == 0 ? 1 : 0;
    }
    std::sort(times.begin(), times.end());
    return {{"connections", followers_.size()},
            {"live", live},
            {"lost", lost},
            {"resumed", resumed},
            {"last_up_us", up_us},
            {"half_resumed_us", times.empty() ? 0 : times[times.size() / 2]},
            {"last_resumed_us", times.empty() ? 0 : times.back()},
            {"received", received},
            {"missing", missing},
            {"duplicates", duplicates},
            {"out_of_order", out_of_order},
            {"reloads", reloads},
            {"reloaded", reloaded},
            {"exact", whole}};
  }

  const std::int64_t rooms_, rate_;
  const int epoll_;
  std::vector<std::unique_ptr<Follower>> followers_;
  std::int64_t began_us_ = 0;
  std::string input_;
  bool over_ = false;
  const Verbs verbs_ = {{"mark", [this](const Command&) { return Mark(); }},
                        {"report", [this](const Command& c) { return Report(c); }}};
};

}  // namespace
}  // namespace encke::bench

int main(int argc, char** argv) {
  using namespace encke::bench;
  std::signal(SIGPIPE, SIG_IGN);
  Flags flags;
  if (!flags.Parse(argc, argv)) return 2;
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  Say({{"did", "start"}, {"pid", getpid()}});
  Flock(flags).Run();
  return 0;
}

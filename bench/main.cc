// encke-bench: many goim clients, pushes and exact accounting.  Speaks plain goim; measures Encke
// or goim.
//
//   encke-bench room  --connections=1000 --push_rate=40 --seconds=20    latency and loss of room
//   pushes encke-bench idle  --connections=19000 --seconds=60                  memory and CPU of
//   held connections encke-bench churn --connections=19000 --churn_rate=100 --seconds=600
//
// Each prints one JSON object on stdout; progress goes to stderr.

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <sys/resource.h>

#include "options.h"
#include "process.h"
#include "pusher.h"
#include "swarm.h"

namespace encke::bench {
namespace {

bool Parse(int argc, char** argv, Options* o) {
  const std::map<std::string, std::function<void(const std::string&)>> flags = {
      {"tcp", [o](const auto& v) { o->tcp = v; }},
      {"ws", [o](const auto& v) { o->ws = v; }},
      {"http", [o](const auto& v) { o->http = v; }},
      {"room", [o](const auto& v) { o->room = v; }},
      {"pids", [o](const auto& v) { o->pids = v; }},
      {"ws_share", [o](const auto& v) { o->ws_share = std::atof(v.c_str()); }},
      {"connections", [o](const auto& v) { o->connections = std::atoi(v.c_str()); }},
      {"threads", [o](const auto& v) { o->threads = std::atoi(v.c_str()); }},
      {"in_progress", [o](const auto& v) { o->in_progress = std::atoi(v.c_str()); }},
      {"connect_rate", [o](const auto& v) { o->connect_rate = std::atof(v.c_str()); }},
      {"heartbeat_s", [o](const auto& v) { o->heartbeat_s = std::atof(v.c_str()); }},
      {"seconds", [o](const auto& v) { o->seconds = std::atof(v.c_str()); }},
      {"push_rate", [o](const auto& v) { o->push_rate = std::atof(v.c_str()); }},
      {"callers", [o](const auto& v) { o->callers = std::atoi(v.c_str()); }},
      {"body_bytes", [o](const auto& v) { o->body_bytes = std::atoi(v.c_str()); }},
      {"churn_rate", [o](const auto& v) { o->churn_rate = std::atof(v.c_str()); }},
      {"first_mid", [o](const auto& v) { o->first_mid = std::atoll(v.c_str()); }},
  };
  for (int i = 2; i < argc; ++i) {
    const std::string word = argv[i];
    const auto equals = word.find('=');
    const auto flag = word.starts_with("--") && equals != std::string::npos
                          ? flags.find(word.substr(2, equals - 2))
                          : flags.end();
    if (flag == flags.end()) {
      std::fprintf(stderr, "unknown flag: %s\n", word.c_str());
      return false;
    }
    flag->second(word.substr(equals + 1));
  }
  return true;
}

void Sleep(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

// The clients of one run, on their threads.
class Crowd {
 public:
  explicit Crowd(const Options& options) : options_(options) {
    for (int t = 0; t < options.threads; ++t) {
      const int share = options.connections / options.threads +
                        (t < options.connections % options.threads ? 1 : 0);
      swarms_.push_back(std::make_unique<Swarm>(options, t, share));
    }
  }
  ~Crowd() { Stop(); }

  bool ConnectAll() {
    const std::int64_t began = NowUs();
    for (auto& swarm : swarms_)
      threads_.emplace_back([s = swarm.get()] { s->Run(); });
    while (Sum(&Swarm::ready) + Sum(&Swarm::failed) < options_.connections) {
      Sleep(0.01);
      if (NowUs() - began > 300'000'000) break;
    }
    ramp_s_ = static_cast<double>(NowUs() - began) / 1e6;
    return Sum(&Swarm::ready) == options_.connections;
  }
  void Churn() {
    for (auto& swarm : swarms_)
      swarm->StartChurn(options_.churn_rate / options_.threads);
  }
  void Stop() {
    for (auto& swarm : swarms_)
      swarm->Stop();
    for (auto& thread : threads_)
      thread.join();
    threads_.clear();
  }
  std::int64_t Sum(std::atomic<std::int64_t> Swarm::*counter) const {
    std::int64_t sum = 0;
    for (const auto& swarm : swarms_)
      sum += (*swarm.*counter).load();
    return sum;
  }
  Histogram Merged(const Histogram& (Swarm::*get)() const) const {
    Histogram all;
    for (const auto& swarm : swarms_)
      all.Merge((*swarm.*get)());
    return all;
  }
  double ramp_s() const { return ramp_s_; }

 private:
  const Options& options_;
  std::vector<std::unique_ptr<Swarm>> swarms_;
  std::vector<std::thread> threads_;
  double ramp_s_ = 0;
};

void PrintHistogram(const char* name, const Histogram& h) {
  std::printf(
      ", \"%s\": {\"count\": %llu, \"p50\": %llu, \"p90\": %llu, \"p99\": %llu, \"p999\": %llu, "
      "\"max\": %llu}",
      name, static_cast<unsigned long long>(h.total()), static_cast<unsigned long long>(h.At(0.5)),
      static_cast<unsigned long long>(h.At(0.9)), static_cast<unsigned long long>(h.At(0.99)),
      static_cast<unsigned long long>(h.At(0.999)), static_cast<unsigned long long>(h.max()));
}

void PrintUse(const char* name,
              const std::vector<ProcessUse>& before,
              const std::vector<ProcessUse>& after,
              double seconds,
              int connections) {
  std::printf(", \"%s\": {", name);
  for (std::size_t i = 0; i < after.size() && i < before.size(); ++i) {
    const auto grown = after[i].anon_bytes - before[i].anon_bytes;
    std::printf(
        "%s\"%s\": {\"cpu_s\": %.2f, \"cpu_percent\": %.2f, \"anon_mb\": %.1f, \"grown_bytes\": "
        "%lld, "
        "\"grown_per_connection\": %.0f}",
        i > 0 ? ", " : "", after[i].name.c_str(), after[i].cpu_s - before[i].cpu_s,
        (after[i].cpu_s - before[i].cpu_s) / seconds * 100,
        static_cast<double>(after[i].anon_bytes) / 1e6, static_cast<long long>(grown),
        static_cast<double>(grown) / connections);
  }
  std::printf("}");
}

void PrintRamp(const Options& o, const Crowd& crowd) {
  std::printf(
      "{\"connections\": %d, \"ready\": %lld, \"failed\": %lld, \"ramp_s\": %.2f, "
      "\"connects_per_s\": %.0f",
      o.connections, static_cast<long long>(crowd.Sum(&Swarm::ready)),
      static_cast<long long>(crowd.Sum(&Swarm::failed)), crowd.ramp_s(),
      o.connections / crowd.ramp_s());
}

PushResult PushAll(const Options& o) {
  std::vector<PushResult> results(static_cast<std::size_t>(o.callers));
  std::vector<std::thread> callers;
  const std::int64_t start = NowUs() + 200'000;
  for (int c = 0; c < o.callers; ++c) {
    callers.emplace_back([&o, &results, c, start] {
      RunPusher(o, c, start, &results[static_cast<std::size_t>(c)]);
    });
  }
  for (auto& caller : callers)
    caller.join();
  PushResult all;
  for (const auto& r : results) {
    all.offered += r.offered;
    all.accepted += r.accepted;
    all.refused += r.refused;
    all.answer_us.Merge(r.answer_us);
  }
  return all;
}

int Room(const Options& o) {
  const auto before = ReadUse(o.pids);
  Crowd crowd(o);
  const bool up = crowd.ConnectAll();
  Sleep(1);
  const auto ready = ReadUse(o.pids);
  const PushResult pushed = PushAll(o);
  const std::int64_t expected = pushed.accepted * o.connections;
  for (int i = 0; i < 100 && crowd.Sum(&Swarm::delivered) < expected; ++i)
    Sleep(0.1);
  Sleep(0.2);
  const auto after = ReadUse(o.pids);
  crowd.Stop();
  PrintRamp(o, crowd);
  const std::int64_t delivered = crowd.Sum(&Swarm::delivered);
  std::printf(
      ", \"offered\": %lld, \"accepted\": %lld, \"refused\": %lld, \"expected\": %lld, "
      "\"delivered\": %lld, "
      "\"lost\": %lld, \"duplicates\": %lld, \"out_of_order\": %lld",
      static_cast<long long>(pushed.offered), static_cast<long long>(pushed.accepted),
      static_cast<long long>(pushed.refused), static_cast<long long>(expected),
      static_cast<long long>(delivered), static_cast<long long>(expected - delivered),
      static_cast<long long>(crowd.Sum(&Swarm::duplicates)),
      static_cast<long long>(crowd.Sum(&Swarm::disordered)));
  PrintHistogram("latency_us", crowd.Merged(&Swarm::latency));
  PrintHistogram("http_us", pushed.answer_us);
  PrintUse("ramp", before, ready, crowd.ramp_s() + 1, o.connections);
  PrintUse("pushing", ready, after, o.seconds, o.connections);
  std::printf("}\n");
  return up && delivered == expected ? 0 : 1;
}

int Hold(const Options& o, bool churn) {
  const auto before = ReadUse(o.pids);
  Crowd crowd(o);
  const bool up = crowd.ConnectAll();
  Sleep(5);
  const auto ready = ReadUse(o.pids);
  if (churn) crowd.Churn();
  for (double left = o.seconds; left > 0; left -= 10) {
    Sleep(left < 10 ? left : 10);
    for (const auto& use : ReadUse(o.pids)) {
      std::fprintf(stderr, "%s anon=%.2f MB cpu=%.1f s  ", use.name.c_str(),
                   static_cast<double>(use.anon_bytes) / 1e6, use.cpu_s);
    }
    std::fprintf(stderr, "ready=%lld churned=%lld closed=%lld\n",
                 static_cast<long long>(crowd.Sum(&Swarm::ready)),
                 static_cast<long long>(crowd.Sum(&Swarm::churned)),
                 static_cast<long long>(crowd.Sum(&Swarm::closed)));
  }
  const auto after = ReadUse(o.pids);
  PrintRamp(o, crowd);
  std::printf(", \"churned\": %lld, \"closed_by_server\": %lld",
              static_cast<long long>(crowd.Sum(&Swarm::churned)),
              static_cast<long long>(crowd.Sum(&Swarm::closed)));
  crowd.Stop();
  PrintHistogram("connect_us", crowd.Merged(&Swarm::auth_us));
  PrintUse("ramp", before, ready, crowd.ramp_s() + 5, o.connections);
  PrintUse("held", ready, after, o.seconds, o.connections);
  std::printf("}\n");
  return up && crowd.Sum(&Swarm::closed) == 0 ? 0 : 1;
}

int Main(int argc, char** argv) {
  Options options;
  const std::string what = argc > 1 ? argv[1] : "";
  if (!Parse(argc, argv, &options)) return 2;
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  if (static_cast<rlim_t>(options.connections) + 64 > files.rlim_cur) {
    std::fprintf(stderr, "%d connections need more open files than the limit of %llu (ulimit -n)\n",
                 options.connections, static_cast<unsigned long long>(files.rlim_cur));
    return 2;
  }
  if (what == "room") return Room(options);
  if (what == "idle") return Hold(options, false);
  if (what == "churn") return Hold(options, true);
  std::fprintf(stderr,
               "usage: encke-bench room|idle|churn [--flag=value ...]  (flags: bench/options.h)\n");
  return 2;
}

}  // namespace
}  // namespace encke::bench

int main(int argc, char** argv) { return encke::bench::Main(argc, argv); }

// encke-floor: what this machine's kernel lets one core send. A bare loop writes one shared buffer
// to every connection; receivers in processes of their own read and throw away. Whatever a comet
// reaches is measured against this, in the same run.
//
//   encke-floor --connections=10000 --transport=tcp,ws --batch=1,20 --seconds=0.7 --repeats=7
//   encke-floor --connections=10000 --conducted     obeys lines on stdin, one answer each:
//       {"do":"run","transport":"ws","batch":20,"seconds":1,"rounds":0,"rounds_per_s":0}
//       {"do":"quit"}
//
// Cases alternate, each `seconds` long, `repeats` times; medians are printed as one JSON object.

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <new>
#include <sstream>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "board.h"
#include "ends.h"

namespace encke::floor {
namespace {

constexpr int kSpareFiles = 700;  // of a process, not used for connections
constexpr int kPerProcess = 19'000;

struct Options {
  std::map<std::string, std::string> values = {
      {"connections", "10000"}, {"transport", "tcp"}, {"batch", "1,20"},  {"body", "50"},
      {"seconds", "0.7"},       {"repeats", "5"},     {"processes", "0"}, {"rounds_per_s", "0"},
      {"rounds", "0"},          {"conducted", "0"}};

  bool Parse(int argc, char** argv) {
    for (int i = 1; i < argc; ++i) {
      const std::string word = argv[i];
      const auto equals = word.find('=');
      const auto flag = values.find(word.starts_with("--") ? word.substr(2, equals - 2) : "");
      if (flag == values.end()) {
        std::fprintf(stderr, "unknown flag: %s\n", word.c_str());
        return false;
      }
      flag->second = equals == std::string::npos ? "1" : word.substr(equals + 1);
    }
    return true;
  }
  double Number(const char* name) const { return std::atof(values.at(name).c_str()); }
  std::vector<std::string> List(const char* name) const {
    std::vector<std::string> out;
    std::istringstream in(values.at(name));
    for (std::string part; std::getline(in, part, ',');)
      out.push_back(part);
    return out;
  }
};

// The sender processes, as main sees them.
class Senders {
 public:
  bool Start(int connections, int processes_wanted) {
    const int least = (connections + FilesPerProcess() - 1) / FilesPerProcess();
    const int count = std::max({1, processes_wanted, least});
    void* shared = mmap(nullptr, sizeof(Cell) * static_cast<std::size_t>(count),
                        PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) return false;
    for (int i = 0; i < count; ++i) {
      Cell* cell = new (static_cast<Cell*>(shared) + i) Cell;
      if (!Fork(i, connections / count + (i < connections % count ? 1 : 0), cell)) return false;
    }
    for (const int control : controls_) {
      Outcome ready;
      if (read(control, &ready, sizeof ready) != sizeof ready) return false;
    }
    return true;
  }

  bool Run(const Command& command, Outcome* sum) {
    for (const int control : controls_) {
      if (write(control, &command, sizeof command) != sizeof command) return false;
    }
    for (const int control : controls_) {
      Outcome one;
      if (read(control, &one, sizeof one) != sizeof one) return false;
      sum->Add(one);
    }
    return true;
  }

  void Stop() {
    for (const int control : controls_)
      close(control);
    while (wait(nullptr) > 0) {
    }
  }

  std::size_t count() const { return controls_.size(); }

 private:
  static int FilesPerProcess() {
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    const auto limit = std::min<rlim_t>(files.rlim_max, 1 << 20);
    files.rlim_cur = limit;
    setrlimit(RLIMIT_NOFILE, &files);
    return std::clamp(static_cast<int>(limit) - kSpareFiles, 1, kPerProcess);
  }

  static int Listen(std::uint16_t* port) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof any;
    if (fd < 0 || bind(fd, reinterpret_cast<sockaddr*>(&any), size) != 0 || listen(fd, 4096) != 0 ||
        getsockname(fd, reinterpret_cast<sockaddr*>(&any), &size) != 0) {
      std::perror("floor: listen");
      return -1;
    }
    *port = ntohs(any.sin_port);
    return fd;
  }

  bool Fork(int pair, int connections, Cell* cell) {
    std::uint16_t port = 0;
    const int listener = Listen(&port);
    int control[2];
    if (listener < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, control) != 0) return false;
    if (fork() == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      CloseControls();
      close(control[0]);
      Send(listener, control[1], connections, cell);
      _exit(0);
    }
    if (fork() == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      CloseControls();
      close(control[0]);
      close(control[1]);
      close(listener);
      Receive(port, static_cast<std::uint32_t>(pair), connections, cell);
      _exit(0);
    }
    close(control[1]);
    close(listener);
    controls_.push_back(control[0]);
    return true;
  }

  void CloseControls() const {
    for (const int control : controls_)
      close(control);
  }

  std::vector<int> controls_;
};

std::string Text(const Command& command, const Outcome& sum) {
  const double sends = static_cast<double>(sum.sends);
  const double cpu = std::max(sum.cpu_s(), 1e-9);
  char out[640];
  std::snprintf(
      out, sizeof out,
      "\"transport\": \"%s\", \"batch\": %u, \"rounds\": %llu, \"sends\": %llu, "
      "\"refused\": %llu, \"deliveries\": %llu, \"bytes\": %llu, \"user_s\": %.3f, "
      "\"system_s\": %.3f, \"seconds\": %.3f, \"sends_per_cpu_s\": %.0f, "
      "\"deliveries_per_cpu_s\": %.0f, \"cpu_us_per_send\": %.3f",
      command.ws ? "ws" : "tcp", command.batch, static_cast<unsigned long long>(sum.rounds),
      static_cast<unsigned long long>(sum.sends), static_cast<unsigned long long>(sum.refused),
      static_cast<unsigned long long>(sum.sends * command.batch),
      static_cast<unsigned long long>(sum.bytes), sum.user_s, sum.system_s, sum.wall_s, sends / cpu,
      sends * command.batch / cpu, sends > 0 ? cpu / sends * 1e6 : 0);
  return out;
}

struct Case {
  Command command;
  Outcome sum;
  std::vector<double> rates;  // sends per CPU-second of each stretch
};

std::vector<Case> CasesOf(const Options& options) {
  std::vector<Case> cases;
  for (const auto& transport : options.List("transport")) {
    for (const auto& batch : options.List("batch")) {
      Command c;
      c.ws = transport == "ws";
      c.batch = static_cast<std::uint32_t>(std::atoi(batch.c_str()));
      c.body_bytes = static_cast<std::uint32_t>(options.Number("body"));
      c.seconds = options.Number("seconds");
      c.rounds = static_cast<std::uint32_t>(options.Number("rounds"));
      c.rounds_per_s = options.Number("rounds_per_s");
      cases.push_back({c, {}, {}});
    }
  }
  return cases;
}

int Alternate(const Options& options, Senders* senders) {
  std::vector<Case> cases = CasesOf(options);
  for (int i = 0; i < static_cast<int>(options.Number("repeats")); ++i) {
    for (Case& one : cases) {
      Outcome out;
      if (!senders->Run(one.command, &out)) return 1;
      one.rates.push_back(static_cast<double>(out.sends) / std::max(out.cpu_s(), 1e-9));
      one.sum.Add(out);
    }
  }
  std::printf("{\"what\": \"floor\", \"connections\": %d, \"processes\": %zu, \"cases\": [",
              static_cast<int>(options.Number("connections")), senders->count());
  for (Case& one : cases) {
    std::sort(one.rates.begin(), one.rates.end());
    std::printf("%s{%s, \"median_sends_per_cpu_s\": %.0f, \"median_deliveries_per_cpu_s\": %.0f}",
                &one == cases.data() ? "" : ", ", Text(one.command, one.sum).c_str(),
                one.rates[one.rates.size() / 2],
                one.rates[one.rates.size() / 2] * one.command.batch);
  }
  std::printf("]}\n");
  return 0;
}

// The value behind "name": in one line of flat JSON; `missing` when it is not there.
std::string Field(const std::string& line, const std::string& name, const std::string& missing) {
  const auto at = line.find('"' + name + '"');
  const auto colon = at == std::string::npos ? at : line.find(':', at);
  if (colon == std::string::npos) return missing;
  const auto begin = line.find_first_not_of(" \"", colon + 1);
  const auto end = line.find_first_of("\",}", begin);
  return begin == std::string::npos ? missing : line.substr(begin, end - begin);
}

int Obey(const Options& options, Senders* senders) {
  std::printf("{\"ready\": %d, \"processes\": %zu}\n",
              static_cast<int>(options.Number("connections")), senders->count());
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line);) {
    if (Field(line, "do", "") != "run") break;
    const auto number = [&](const char* name, double missing) {
      return std::atof(Field(line, name, std::to_string(missing)).c_str());
    };
    Command c;
    c.ws = Field(line, "transport", "tcp") == "ws";
    c.batch = static_cast<std::uint32_t>(number("batch", 1));
    c.body_bytes = static_cast<std::uint32_t>(number("body", options.Number("body")));
    c.seconds = number("seconds", 0.7);
    c.rounds = static_cast<std::uint32_t>(number("rounds", 0));
    c.rounds_per_s = number("rounds_per_s", 0);
    Outcome sum;
    if (!senders->Run(c, &sum)) return 1;
    std::printf("{%s}\n", Text(c, sum).c_str());
    std::fflush(stdout);
  }
  return 0;
}

int Main(int argc, char** argv) {
  Options options;
  if (!options.Parse(argc, argv)) return 2;
  Senders senders;
  const bool up = senders.Start(static_cast<int>(options.Number("connections")),
                                static_cast<int>(options.Number("processes")));
  if (!up) {
    std::fprintf(stderr, "floor: the processes did not come up\n");
    return 1;
  }
  const int status =
      options.Number("conducted") > 0 ? Obey(options, &senders) : Alternate(options, &senders);
  senders.Stop();
  return status;
}

}  // namespace
}  // namespace encke::floor

int main(int argc, char** argv) { return encke::floor::Main(argc, argv); }

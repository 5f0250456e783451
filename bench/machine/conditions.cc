#include "machine/conditions.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <thread>

#include <sys/resource.h>
#include <sys/utsname.h>

namespace encke::bench {
namespace {

constexpr const char* kSysctls[] = {"net.core.somaxconn",
                                    "net.core.netdev_max_backlog",
                                    "net.ipv4.tcp_max_syn_backlog",
                                    "net.ipv4.ip_local_port_range",
                                    "net.ipv4.tcp_mem",
                                    "net.ipv4.tcp_rmem",
                                    "net.ipv4.tcp_wmem",
                                    "net.ipv4.tcp_tw_reuse",
                                    "fs.nr_open",
                                    "fs.file-max"};

// The value of the first line "name : value" of a file in /proc.
std::string Line(const char* path, const std::string& name) {
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(name)) continue;
    const auto value = line.find_first_not_of(": \t", line.find(':'));
    return value == std::string::npos ? "" : line.substr(value);
  }
  return "";
}

std::string Commit() {
  std::string out;
  const std::string command =
      "git -C '" ENCKE_SOURCE_DIR "' describe --always --dirty --abbrev=10 2>/dev/null";
  if (FILE* pipe = popen(command.c_str(), "r"); pipe != nullptr) {
    char buffer[128];
    if (std::fgets(buffer, sizeof buffer, pipe) != nullptr) out = buffer;
    pclose(pipe);
  }
  while (!out.empty() && out.back() == '\n')
    out.pop_back();
  return out.empty() ? "unknown" : out;
}

std::string UtcNow() {
  char text[32];
  const std::time_t now = std::time(nullptr);
  tm parts{};
  gmtime_r(&now, &parts);
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

}  // namespace

std::string Sysctl(const std::string& name) {
  std::string path = name;
  std::replace(path.begin(), path.end(), '.', '/');
  std::ifstream in("/proc/sys/" + path);
  std::string value;
  std::getline(in, value);
  std::replace(value.begin(), value.end(), '\t', ' ');
  return value;
}

nlohmann::ordered_json Conditions() {
  utsname kernel{};
  uname(&kernel);
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  double load[1] = {0};
  getloadavg(load, 1);
  nlohmann::ordered_json out = {{"time", UtcNow()},
                                {"cpu", Line("/proc/cpuinfo", "model name")},
                                {"cores", std::thread::hardware_concurrency()},
                                {"memory", Line("/proc/meminfo", "MemTotal")},
                                {"kernel", kernel.release},
                                {"nofile", files.rlim_cur},
                                {"load_average", load[0]},
                                {"commit", Commit()}};
  for (const char* name : kSysctls)
    out["sysctls"][name] = Sysctl(name);
  return out;
}

}  // namespace encke::bench

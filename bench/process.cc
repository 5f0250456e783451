#include "process.h"

#include <cstdlib>
#include <fstream>
#include <sstream>

#include <unistd.h>

namespace encke::bench {
namespace {

double CpuSeconds(int pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  std::getline(in, line);
  const auto end = line.rfind(')');
  if (end == std::string::npos) return 0;
  std::istringstream rest(line.substr(end + 1));
  std::string word;
  double ticks = 0;
  for (int field = 3; field <= 15 && rest >> word; ++field) {
    if (field >= 14) ticks += std::atof(word.c_str());
  }
  return ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

std::int64_t AnonBytes(int pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("RssAnon:")) return std::atoll(line.c_str() + 8) * 1024;
  }
  return 0;
}

}  // namespace

std::vector<ProcessUse> ReadUse(const std::string& pids) {
  std::vector<ProcessUse> all;
  std::istringstream in(pids);
  for (std::string part; std::getline(in, part, ',');) {
    const auto equals = part.find('=');
    if (equals == std::string::npos) continue;
    ProcessUse use;
    use.name = part.substr(0, equals);
    use.pid = std::atoi(part.c_str() + equals + 1);
    use.cpu_s = CpuSeconds(use.pid);
    use.anon_bytes = AnonBytes(use.pid);
    all.push_back(use);
  }
  return all;
}

}  // namespace encke::bench

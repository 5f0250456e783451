#include "machine/process.h"

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include <unistd.h>

namespace encke::bench {
namespace {

void ReadCpu(ProcessUse* use) {
  std::ifstream in("/proc/" + std::to_string(use->pid) + "/stat");
  std::string line;
  std::getline(in, line);
  const auto end = line.rfind(')');
  if (end == std::string::npos) return;
  std::istringstream rest(line.substr(end + 1));
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  std::string word;
  for (int field = 3; field <= 15 && rest >> word; ++field) {
    if (field == 14) use->user_s = std::atof(word.c_str()) / ticks;
    if (field == 15) use->system_s = std::atof(word.c_str()) / ticks;
  }
}

void ReadMemory(ProcessUse* use) {
  std::ifstream in("/proc/" + std::to_string(use->pid) + "/status");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("VmRSS:")) use->rss = std::atoll(line.c_str() + 6) * 1024;
    if (line.starts_with("RssAnon:")) use->rss_anon = std::atoll(line.c_str() + 8) * 1024;
  }
}

double Rounded(double v) { return std::round(v * 1000) / 1000; }

}  // namespace

std::vector<ProcessUse> ReadUse(const std::string& pids) {
  std::vector<ProcessUse> all;
  std::istringstream in(pids + ",bench=" + std::to_string(getpid()));
  for (std::string part; std::getline(in, part, ',');) {
    const auto equals = part.find('=');
    if (equals == std::string::npos) continue;
    ProcessUse use;
    use.name = part.substr(0, equals);
    use.pid = std::atoi(part.c_str() + equals + 1);
    ReadCpu(&use);
    ReadMemory(&use);
    all.push_back(use);
  }
  return all;
}

nlohmann::ordered_json Difference(const std::vector<ProcessUse>& before,
                                  const std::vector<ProcessUse>& after,
                                  double seconds) {
  nlohmann::ordered_json out = nlohmann::ordered_json::object();
  for (std::size_t i = 0; i < after.size() && i < before.size(); ++i) {
    const double user = after[i].user_s - before[i].user_s;
    const double system = after[i].system_s - before[i].system_s;
    out[after[i].name] = {{"cpu_s", Rounded(user + system)},
                          {"user_s", Rounded(user)},
                          {"system_s", Rounded(system)},
                          {"cpu_percent", Rounded((user + system) / seconds * 100)},
                          {"rss_anon", after[i].rss_anon},
                          {"rss", after[i].rss},
                          {"grown", after[i].rss_anon - before[i].rss_anon}};
  }
  return out;
}

}  // namespace encke::bench

#pragma once
// Process: CPU and memory of a process, read from outside (/proc).
//
// Owner    value types.
// Thread   any.
// Limit    CPU time in hundredths of a second.

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace encke::bench {

struct ProcessUse {
  std::string name;
  int pid = 0;
  double user_s = 0, system_s = 0;
  std::int64_t rss_anon = 0;  // bytes: what the process itself uses
  std::int64_t rss = 0;
};

// pids: "comet=123,logic=124"; the last one is ourselves, "bench".
std::vector<ProcessUse> ReadUse(const std::string& pids);

// {name: {"cpu_s", "cpu_percent", "rss_anon", "grown", ...}} of the time between two readings.
nlohmann::ordered_json Difference(const std::vector<ProcessUse>& before,
                                  const std::vector<ProcessUse>& after,
                                  double seconds);

}  // namespace encke::bench

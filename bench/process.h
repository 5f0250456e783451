#pragma once
// Process: CPU and memory of the daemons, read from outside (/proc).
//
// Owner    value types.
// Thread   any.
// Limit    none.

#include <cstdint>
#include <string>
#include <vector>

namespace encke::bench {

struct ProcessUse {
  std::string name;
  int pid = 0;
  double cpu_s = 0;             // user + system
  std::int64_t anon_bytes = 0;  // RssAnon: what the process itself uses
};

// pids: "comet=123,logic=124".
std::vector<ProcessUse> ReadUse(const std::string& pids);

}  // namespace encke::bench

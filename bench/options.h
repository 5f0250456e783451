#pragma once
// Options of encke-bench; every field is a flag --name=value.
//
// Owner    main.
// Thread   read-only after parsing.
// Limit    none.

#include <cstdint>
#include <string>

namespace encke::bench {

struct Options {
  std::string tcp = "127.0.0.1:3101";
  std::string ws = "127.0.0.1:3102";
  std::string http = "127.0.0.1:3111";
  std::string room = "bench://1";
  std::string pids;       // "comet=123,logic=124": whose CPU and memory to report
  double ws_share = 0.5;  // of the connections
  int connections = 1000;
  int threads = 1;
  int in_progress = 256;    // connects under way per thread
  double connect_rate = 0;  // per second over all threads; 0 = as fast as they are answered
  double heartbeat_s = 240;
  double seconds = 10;    // of pushing, holding or churning
  double push_rate = 20;  // pushes per second, open loop
  int callers = 1;        // HTTP connections
  int body_bytes = 50;
  double churn_rate = 0;  // leaves and joins per second
  std::int64_t first_mid = 1;
};

}  // namespace encke::bench

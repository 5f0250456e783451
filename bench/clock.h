#pragma once
// NowUs: CLOCK_MONOTONIC in microseconds, the same for all processes of a machine.
//
// Owner    nobody.
// Thread   any.
// Limit    none.

#include <cstdint>
#include <ctime>

namespace encke::bench {

inline std::int64_t NowUs() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1'000'000LL + t.tv_nsec / 1000;
}

}  // namespace encke::bench

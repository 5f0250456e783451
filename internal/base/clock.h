#pragma once
// Clock: the two times we use.  Monotonic for deadlines, wall for what others read.
//
// Owner    free functions.
// Thread   any.
// Limit    none.

#include <chrono>
#include <cstdint>

namespace encke {

using Duration = std::chrono::milliseconds;

inline std::int64_t MonotonicMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

inline std::int64_t MonotonicUs() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

inline std::int64_t WallUs() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace encke

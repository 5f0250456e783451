#pragma once
// Limits: what the system lets one process hold, and which setting to raise when it is too little.
//
// Owner    pure functions, apart from ReadLimits.
// Thread   any.
// Limit    none.

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/result.h"

namespace encke {

struct SystemLimits {
  std::uint64_t open_files = 0;     // of this process: ulimit -Hn
  std::uint64_t file_max = 0;       // of the system: fs.file-max
  std::uint64_t epoll_watches = 0;  // of this user: fs.epoll.max_user_watches
  std::uint64_t somaxconn = 0;      // net.core.somaxconn: cuts every backlog
};

// Raises the limit of open files as far as it goes, then looks.  What cannot be read is no limit.
SystemLimits ReadLimits();

// Connections a process may hold when it needs `reserve` descriptors for everything else.
std::size_t ConnectionsCarried(const SystemLimits& limits, std::size_t reserve);

// Not Ok: one sentence with the setting that stands in the way.
Status CheckCarried(const SystemLimits& limits, std::size_t connections, std::size_t reserve);

}  // namespace encke

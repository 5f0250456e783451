#include "base/limits.h"

#include <algorithm>
#include <fstream>
#include <limits>

#include <sys/resource.h>

namespace encke {
namespace {

constexpr std::uint64_t kNone = std::numeric_limits<std::uint64_t>::max();

std::uint64_t ReadNumber(const char* path) {
  std::ifstream in(path);
  std::uint64_t value = 0;
  return in >> value ? value : kNone;
}

std::uint64_t RaiseOpenFiles() {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return kNone;
  if (files.rlim_cur != files.rlim_max) {
    const rlimit raised{files.rlim_max, files.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) files = raised;
  }
  return files.rlim_cur == RLIM_INFINITY ? kNone : files.rlim_cur;
}

Error TooFew(std::size_t connections,
             const std::string& what,
             std::uint64_t have,
             const std::string& remedy) {
  return Error{Errc::kInvalid, std::to_string(connections) + " connections need more " + what +
                                   " than " + std::to_string(have) + ": " + remedy +
                                   " (scripts/tune.sh explains)"};
}

}  // namespace

SystemLimits ReadLimits() {
  return {.open_files = RaiseOpenFiles(),
          .file_max = ReadNumber("/proc/sys/fs/file-max"),
          .epoll_watches = ReadNumber("/proc/sys/fs/epoll/max_user_watches"),
          .somaxconn = ReadNumber("/proc/sys/net/core/somaxconn")};
}

std::size_t ConnectionsCarried(const SystemLimits& limits, std::size_t reserve) {
  const std::uint64_t files = std::min({limits.open_files, limits.file_max, limits.epoll_watches});
  return files > reserve ? static_cast<std::size_t>(files - reserve) : 0;
}

Status CheckCarried(const SystemLimits& limits, std::size_t connections, std::size_t reserve) {
  const std::uint64_t files = std::uint64_t{connections} + reserve;
  if (files > limits.open_files) {
    return TooFew(
        connections, "open files per process", limits.open_files,
        "raise ulimit -Hn or LimitNOFILE= and sysctl fs.nr_open, or start more processes");
  }
  if (files > limits.file_max) {
    return TooFew(connections, "open files in the system", limits.file_max,
                  "raise sysctl fs.file-max");
  }
  if (files > limits.epoll_watches) {
    return TooFew(connections, "epoll watches per user", limits.epoll_watches,
                  "raise sysctl fs.epoll.max_user_watches");
  }
  return Ok{};
}

}  // namespace encke

#pragma once
// Main: how every daemon starts: its words, its file, its log, held signals; then what is its own.
//
// Owner    cmd/<daemon>/main.cc, whose main is one call of it.
// Thread   main's.
// Limit    none.

#include <cstdio>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "base/log.h"
#include "base/result.h"
#include "daemon/command_line.h"
#include "daemon/signals.h"

namespace encke::daemon {

// The exit code of a process whose life is `body`: 0, or 2 after saying on stderr what was wrong.
int Guarded(std::string_view kind, const std::function<Status()>& body) noexcept;

// load(path) answers a Result of a configuration; run(configuration, path) lives until it is told
// to stop.
template <class Load, class Run>
int Main(int argc, char** argv, std::string_view kind, const Load& load, const Run& run) noexcept {
  return Guarded(kind, [&]() -> Status {
    const auto words = ReadCommandLine(argc, argv, kind);
    if (!words) return words.error();
    auto config = load(words->config);
    if (!config) return config.error();
    if (words->check_only) {
      if (std::puts("configuration is fine") < 0) return Error{Errc::kClosed, "stdout is closed"};
      return Ok{};
    }
    if (auto log = log::Init(kind, config->log_level); !log) return log;
    HoldSignals();
    return run(std::move(*config), words->config);
  });
}

}  // namespace encke::daemon

#pragma once
// CommandLine: the few words that all daemons take: [--check-config] [--config FILE | FILE].
//
// Owner    Main.
// Thread   main's.
// Limit    one file may be named.

#include <string>
#include <string_view>

#include "base/result.h"

namespace encke::daemon {

struct CommandLine {
  std::string config;       // default: configs/<kind>.yaml
  bool check_only = false;  // --check-config: say whether the file is fine, and end
};

Result<CommandLine> ReadCommandLine(int argc, char** argv, std::string_view kind);

}  // namespace encke::daemon

#include "daemon/command_line.h"

#include <fmt/core.h>

namespace encke::daemon {

Result<CommandLine> ReadCommandLine(int argc, char** argv, std::string_view kind) {
  constexpr std::string_view kConfigIs = "--config=";
  CommandLine out;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    std::string_view file;
    if (word == "--config" && i + 1 < argc) {
      file = argv[++i];
    } else if (word.starts_with(kConfigIs)) {
      file = word.substr(kConfigIs.size());
    } else if (!word.starts_with("-")) {
      file = word;
    }
    if (word == "--check-config") {
      out.check_only = true;
    } else if (!file.empty() && out.config.empty()) {
      out.config = file;
    } else {
      return Error{Errc::kInvalid,
                   fmt::format("argument {} is unknown or too many; usage: {} [--check-config] "
                               "[--config FILE | FILE]",
                               word, kind)};
    }
  }
  if (out.config.empty()) out.config = fmt::format("configs/{}.yaml", kind);
  return out;
}

}  // namespace encke::daemon

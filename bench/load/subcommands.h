#pragma once
// Subcommands: what encke-bench can be asked to do.
//
// Owner    main.
// Thread   one.
// Limit    none.

#include <string>

#include "options.h"

namespace encke::bench {

// All names, for the usage line.
std::string SubcommandNames();
bool IsSubcommand(const std::string& name);
// The exit status: 0 = everything adds up, 1 = it does not.
int RunSubcommand(const std::string& name, const Options& options);

// Obeys lines of JSON on standard input (bench/README.md, Members).
int RunMember(const Options& options);
int RunPusher(const Options& options);

}  // namespace encke::bench

// encke-bench: many goim clients, pushes over HTTP, and exact accounting.  Speaks plain goim, so it
// measures Encke or goim.  One JSON object on standard output; progress on standard error.
//
// Exit status: 0 = everything adds up, 1 = something was lost, repeated, out of order, refused or
// not connected (the JSON says what), 2 = the run was not begun.

#include <csignal>
#include <cstdio>
#include <string>

#include "load/subcommands.h"
#include "machine/limits.h"

int main(int argc, char** argv) {
  using namespace encke::bench;
  std::signal(SIGPIPE, SIG_IGN);
  const std::string name = argc > 1 ? argv[1] : "";
  if (!IsSubcommand(name)) {
    std::fprintf(stderr,
                 "usage: encke-bench %s [--flag=value ...]  (flags: bench/options.h, "
                 "bench/README.md)\n",
                 SubcommandNames().c_str());
    return 2;
  }
  Options options;
  std::string error;
  if (!options.Parse(name, argc - 2, argv + 2, &error)) {
    std::fprintf(stderr, "encke-bench: %s\n", error.c_str());
    return 2;
  }
  const std::string what = name == "pusher" ? "" : WhatIsShort(options, Limits::Here());
  if (!what.empty()) {
    std::fprintf(stderr, "encke-bench: this machine cannot carry the run: %s\n", what.c_str());
    return 2;
  }
  return RunSubcommand(name, options);
}

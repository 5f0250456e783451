#pragma once
// Limits: can this machine carry the run?  A run that it cannot is refused, with the limit's name
// and what to set.
//
// Owner    value types.
// Thread   any.
// Limit    none.

#include <cstdint>
#include <string>

#include "options.h"

namespace encke::bench {

struct Limits {
  std::uint64_t nofile = 0;
  std::uint64_t somaxconn = 0;
  std::uint64_t ports = 0;  // in net.ipv4.ip_local_port_range

  static Limits Here();  // raises the soft limit of files to the hard one
};

// Empty when the run fits; else what is short, by name, and what to do.
std::string WhatIsShort(const Options& options, const Limits& limits);

}  // namespace encke::bench

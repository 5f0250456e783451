#pragma once
// Conditions: what a figure depends on and a reader must know: machine, kernel, limits, commit.
//
// Owner    nobody: functions.
// Thread   any.
// Limit    none.

#include <cstdint>
#include <string>

#include <nlohmann/json.hpp>

namespace encke::bench {

nlohmann::ordered_json Conditions();
// /proc/sys/net/core/somaxconn by its name net.core.somaxconn; empty when there is none.
std::string Sysctl(const std::string& name);

}  // namespace encke::bench

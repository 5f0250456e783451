#include "machine/limits.h"

#include <cstdlib>

#include <sys/resource.h>

#include "client/addresses.h"
#include "machine/conditions.h"

namespace encke::bench {
namespace {

constexpr std::uint64_t kOtherFiles = 64;  // epolls, eventfds, the standard three, libraries

std::string Text(std::uint64_t n) { return std::to_string(n); }

std::string FilesShort(const Options& o, const Limits& limits) {
  const auto need = static_cast<std::uint64_t>(o.connections + o.http_connections) + kOtherFiles;
  if (need <= limits.nofile) return "";
  return Text(need) + " open files are needed and RLIMIT_NOFILE is " + Text(limits.nofile) +
         ": raise it (ulimit -n " + Text(need) +
         ", or LimitNOFILE), or spread the connections over several processes (encke-bench member)";
}

std::string BacklogShort(const Options& o, const Limits& limits) {
  const auto most =
      static_cast<std::uint64_t>(o.in_progress) * static_cast<std::uint64_t>(o.threads);
  const auto under_way = std::min<std::uint64_t>(most, static_cast<std::uint64_t>(o.connections));
  if (under_way <= limits.somaxconn) return "";
  return Text(under_way) + " connects may be under way at once and net.core.somaxconn is " +
         Text(limits.somaxconn) + ": sysctl -w net.core.somaxconn=" + Text(under_way) +
         " (before the server starts), or a lower --in_progress";
}

std::string PortsShort(const Options& o, const Limits& limits) {
  const auto comets = ParseComets(o.comets);
  Sources sources;
  ParseSources(o.sources, comets, &sources);
  const std::uint64_t addresses = sources.count > 0 ? sources.count : 1;
  const std::uint64_t doors = comets.size() * (o.transport == "mix" ? 2 : 1);
  const std::uint64_t most = limits.ports * addresses * doors;
  if (static_cast<std::uint64_t>(o.connections) <= most) return "";
  return Text(static_cast<std::uint64_t>(o.connections)) + " connections from " + Text(addresses) +
         " source addresses to " + Text(doors) + " doors have only " + Text(most) +
         " ports: widen net.ipv4.ip_local_port_range (now " + Text(limits.ports) +
         " ports), or name more addresses with --sources=ADDRESS/BITS";
}

}  // namespace

Limits Limits::Here() {
  Limits limits;
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  if (files.rlim_cur < files.rlim_max) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    getrlimit(RLIMIT_NOFILE, &files);
  }
  limits.nofile = files.rlim_cur;
  limits.somaxconn = std::strtoull(Sysctl("net.core.somaxconn").c_str(), nullptr, 10);
  const std::string range = Sysctl("net.ipv4.ip_local_port_range");
  char* rest = nullptr;
  const auto low = std::strtoull(range.c_str(), &rest, 10);
  const auto high = std::strtoull(rest, nullptr, 10);
  limits.ports = high >= low ? high - low + 1 : 0;
  return limits;
}

std::string WhatIsShort(const Options& options, const Limits& limits) {
  for (const auto check : {FilesShort, BacklogShort, PortsShort}) {
    const std::string what = check(options, limits);
    if (!what.empty()) return what;
  }
  return "";
}

}  // namespace encke::bench

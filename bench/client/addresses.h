#pragma once
// Addresses: where clients connect to, and from.
//
// Owner    a swarm.
// Thread   read-only after parsing.
// Limit    IPv4.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <netinet/in.h>

namespace encke::bench {

// "host:port"; false when it is none.
bool ParseAddress(std::string_view text, sockaddr_in* out);
std::vector<std::string_view> SplitAtCommas(std::string_view text);

struct CometDoors {
  sockaddr_in tcp{};
  sockaddr_in ws{};
};
// "host:tcpport:wsport,..."; empty when a part of it is not that.
std::vector<CometDoors> ParseComets(std::string_view text);

// Source addresses FIRST ... FIRST + count - 1, used in turn; count 0 = the kernel chooses.
struct Sources {
  std::uint32_t first = 0;  // host byte order
  std::uint32_t count = 0;

  sockaddr_in At(std::uint64_t i) const;
};
// "127.1.0.0/24"; "auto" and "" as Options says.  False when it is none of these.
bool ParseSources(std::string_view text, const std::vector<CometDoors>& comets, Sources* out);

}  // namespace encke::bench

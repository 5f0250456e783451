#include "client/addresses.h"

#include <algorithm>
#include <charconv>

#include <arpa/inet.h>

namespace encke::bench {
namespace {

bool ParseNumber(std::string_view text, std::uint32_t most, std::uint32_t* out) {
  const char* end = text.data() + text.size();
  const auto [at, failure] = std::from_chars(text.data(), end, *out);
  return failure == std::errc{} && at == end && *out <= most;
}

bool Loopback(const CometDoors& comet) { return (ntohl(comet.tcp.sin_addr.s_addr) >> 24) == 127; }

}  // namespace

bool ParseAddress(std::string_view text, sockaddr_in* out) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return false;
  std::string host(text.substr(0, colon));
  if (host == "localhost") host = "127.0.0.1";
  std::uint32_t port = 0;
  out->sin_family = AF_INET;
  if (inet_pton(AF_INET, host.c_str(), &out->sin_addr) != 1) return false;
  if (!ParseNumber(text.substr(colon + 1), 65535, &port)) return false;
  out->sin_port = htons(static_cast<std::uint16_t>(port));
  return true;
}

std::vector<std::string_view> SplitAtCommas(std::string_view text) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const auto comma = text.find(',');
    if (comma != 0) parts.push_back(text.substr(0, comma));
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
  }
  return parts;
}

std::vector<CometDoors> ParseComets(std::string_view text) {
  std::vector<CometDoors> comets;
  for (const auto part : SplitAtCommas(text)) {
    const auto colon = part.rfind(':');
    if (colon == std::string_view::npos) return {};
    CometDoors doors;
    std::uint32_t port = 0;
    if (!ParseAddress(part.substr(0, colon), &doors.tcp)) return {};
    if (!ParseNumber(part.substr(colon + 1), 65535, &port)) return {};
    doors.ws = doors.tcp;
    doors.ws.sin_port = htons(static_cast<std::uint16_t>(port));
    comets.push_back(doors);
  }
  return comets;
}

sockaddr_in Sources::At(std::uint64_t i) const {
  sockaddr_in from{};
  from.sin_family = AF_INET;
  from.sin_addr.s_addr = htonl(first + static_cast<std::uint32_t>(i % count));
  return from;
}

bool ParseSources(std::string_view text, const std::vector<CometDoors>& comets, Sources* out) {
  *out = {};
  if (text == "auto")
    text = std::all_of(comets.begin(), comets.end(), Loopback) ? "127.1.0.0/24" : "";
  if (text.empty()) return true;
  const auto slash = text.find('/');
  std::uint32_t bits = 32;
  if (slash != std::string_view::npos && !ParseNumber(text.substr(slash + 1), 32, &bits))
    return false;
  in_addr address{};
  if (bits < 8 || inet_pton(AF_INET, std::string(text.substr(0, slash)).c_str(), &address) != 1)
    return false;
  out->count = 1U << (32 - bits);
  out->first = ntohl(address.s_addr) & ~(out->count - 1);
  if (out->count > 2) {  // not the network's own address and not its broadcast
    out->first += 1;
    out->count -= 2;
  }
  return true;
}

}  // namespace encke::bench

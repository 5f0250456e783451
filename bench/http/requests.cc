#include "http/requests.h"

#include <cctype>

namespace encke::bench {
namespace {

void AppendEscaped(std::string_view text, std::string* out) {
  constexpr char kHex[] = "0123456789ABCDEF";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || c == '-' || c == '.' || c == '_' || c == '~') {
      *out += c;
    } else {
      *out += '%';
      *out += kHex[byte >> 4];
      *out += kHex[byte & 15];
    }
  }
}

void AppendTarget(const Options& o,
                  const std::string& route,
                  std::uint32_t group,
                  std::string* out) {
  out->append("/goim/push/").append(route).append("?operation=1000");
  if (route == "room") {
    const std::string room = o.RoomName(group);
    const auto colon = room.find("://");
    out->append("&type=");
    AppendEscaped(std::string_view(room).substr(0, colon), out);
    out->append("&room=");
    AppendEscaped(std::string_view(room).substr(colon + 3), out);
  } else if (route == "mids" || route == "keys") {
    const std::int64_t first = o.mid_base + static_cast<std::int64_t>(group) * o.targets;
    for (std::int64_t mid = first; mid < first + o.targets; ++mid)
      out->append(route == "mids" ? "&mids=" + std::to_string(mid) : "&keys=" + o.KeyOf(mid));
  }
}

}  // namespace

Place PlaceOf(const Layout& layout, std::uint32_t caller, std::uint64_t m, std::uint32_t batch) {
  const std::uint64_t tick = m / batch;
  const std::uint32_t mine = layout.StreamsOf(caller);
  return {caller + static_cast<std::uint32_t>(tick % mine) * layout.callers,
          static_cast<std::uint32_t>(tick / mine * batch + m % batch)};
}

void AppendRequest(const Options& options,
                   const std::string& route,
                   std::uint32_t group,
                   const Stamp& stamp,
                   std::string* out) {
  out->append("POST ");
  AppendTarget(options, route, group, out);
  out->append(" HTTP/1.1\r\nHost: bench\r\n");
  if (!options.api_key.empty())
    out->append("Authorization: Bearer ").append(options.api_key).append("\r\n");
  out->append("Content-Length: ").append(std::to_string(options.body)).append("\r\n\r\n");
  stamp.AppendTo(out, static_cast<std::size_t>(options.body));
}

}  // namespace encke::bench

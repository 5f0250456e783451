#include "http/requests.h"

#include <algorithm>
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

void AppendBase64(std::string_view in, std::string* out) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t i = 0; i < in.size(); i += 3) {
    const std::size_t n = std::min<std::size_t>(3, in.size() - i);
    std::uint32_t bits = 0;
    for (std::size_t k = 0; k < 3; ++k)
      bits = bits << 8 | (k < n ? static_cast<unsigned char>(in[i + k]) : 0U);
    for (std::size_t k = 0; k < 4; ++k)
      *out += k <= n ? kDigits[bits >> (18 - 6 * k) & 63] : '=';
  }
}

// The lines after the first, and the empty one.
void AppendFields(const Options& options, std::size_t body_bytes, std::string* out) {
  out->append(" HTTP/1.1\r\nHost: bench\r\n");
  if (!options.api_key.empty())
    out->append("Authorization: Bearer ").append(options.api_key).append("\r\n");
  out->append("Content-Length: ").append(std::to_string(body_bytes)).append("\r\n");
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
  AppendFields(options, static_cast<std::size_t>(options.body), out);
  out->append("\r\n");
  stamp.AppendTo(out, static_cast<std::size_t>(options.body));
}

void AppendBatchRequest(const Options& options,
                        const std::vector<AimedStamp>& pushes,
                        std::string* out) {
  std::string body = "{\"pushes\":[";
  for (const AimedStamp& push : pushes) {
    std::string message;
    push.stamp.AppendTo(&message, static_cast<std::size_t>(options.body));
    body.append(&push == &pushes.front() ? "" : ",").append("{\"op\":1000,\"room\":");
    body.append(nlohmann::json(options.RoomName(push.group)).dump()).append(",\"body_base64\":\"");
    AppendBase64(message, &body);
    body.append("\"}");
  }
  body.append("]}");
  out->append("POST /v1/pushes:batch");
  AppendFields(options, body.size(), out);
  out->append("Content-Type: application/json\r\n\r\n").append(body);
}

}  // namespace encke::bench

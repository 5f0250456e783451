#include "client/codec.h"

namespace encke::bench {
namespace {

void Put32(std::string* out, std::uint32_t v) {
  v = htonl(v);
  out->append(reinterpret_cast<const char*>(&v), 4);
}

}  // namespace

void AppendPackage(bool ws, std::int32_t op, std::string_view body, std::string* out) {
  const std::size_t length = kPackageHeader + body.size();
  if (ws) {  // masked with zeros: a mask all the same
    *out += static_cast<char>(0x82);
    if (length < 126) {
      *out += static_cast<char>(0x80 | length);
    } else {
      *out += static_cast<char>(0x80 | 126);
      *out += static_cast<char>(length >> 8);
      *out += static_cast<char>(length & 0xff);
    }
    out->append(4, '\0');
  }
  Put32(out, static_cast<std::uint32_t>(length));
  Put32(out, 16U << 16 | 1U);  // header length, version
  Put32(out, static_cast<std::uint32_t>(op));
  Put32(out, 1);  // sequence
  out->append(body);
}

std::string AuthBody(std::int64_t mid, std::string_view room, std::string_view key) {
  std::string out = "{\"mid\":" + std::to_string(mid) + ",\"room_id\":\"";
  out.append(room);
  if (!key.empty()) out.append("\",\"key\":\"").append(key);
  out.append("\",\"platform\":\"bench\",\"accepts\":[1000]}");
  return out;
}

std::string_view UpgradeRequest() {
  return "GET /sub HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
}

int UpgradeAnswer(std::string_view in) {
  constexpr std::string_view kStart = "HTTP/1.1 101";
  const std::string_view start = kStart.substr(0, in.size());
  if (!in.starts_with(start)) return -1;
  const auto end = in.find("\r\n\r\n");
  return end == std::string_view::npos ? 0 : static_cast<int>(end) + 4;
}

FrameHead ReadFrameHead(const char* in, std::size_t size) {
  if (size < 2) return {};
  const auto* head = reinterpret_cast<const unsigned char*>(in);
  const int length = head[1] & 0x7f;
  const int opcode = head[0] & 0x0f;
  if (length < 126) return {2, static_cast<std::uint64_t>(length), opcode};
  if (length == 126) {
    if (size < 4) return {};
    return {4, static_cast<std::uint64_t>(head[2] << 8 | head[3]), opcode};
  }
  if (size < 10) return {};
  return {10, std::uint64_t{Get32(in + 2)} << 32 | Get32(in + 6), opcode};
}

}  // namespace encke::bench

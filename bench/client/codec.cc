#include "client/codec.h"

namespace encke::bench {
namespace {

void Put32(std::string* out, std::uint32_t v) {
  v = htonl(v);
  out->append(reinterpret_cast<const char*>(&v), 4);
}

// The operations of one version.
struct Words {
  std::int32_t login, welcome, heartbeat, heartbeat_reply, push;
};
constexpr Words kVersion1 = {7, 8, 2, 3, 1000};
constexpr Words kVersion2 = {18, 19, 30, 31, 32};

const Words& WordsOf(int version) { return version == 1 ? kVersion1 : kVersion2; }

// protobuf: a field of bytes or text.
void PutField(int number, std::string_view value, std::string* out) {
  *out += static_cast<char>(number << 3 | 2);
  for (std::size_t n = value.size(); true; n >>= 7) {
    *out += static_cast<char>((n & 127) | (n > 127 ? 128 : 0));
    if (n < 128) break;
  }
  out->append(value);
}

bool TakeVarint(std::string_view* in, std::uint64_t* out) {
  *out = 0;
  for (int shift = 0; shift < 64 && !in->empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(in->front());
    in->remove_prefix(1);
    *out |= std::uint64_t{byte & 127U} << shift;
    if (byte < 128) return true;
  }
  return false;
}

// protobuf: the bytes of field `number`; empty when it is not there.
std::string_view FindField(std::uint64_t number, std::string_view in) {
  std::uint64_t tag = 0;
  std::uint64_t value = 0;
  while (TakeVarint(&in, &tag)) {
    const auto type = tag & 7;
    if (type == 0) {
      if (!TakeVarint(&in, &value)) return {};
      continue;
    }
    if (type == 2 && !TakeVarint(&in, &value)) return {};
    const std::uint64_t size = type == 2 ? value : type == 1 ? 8 : type == 5 ? 4 : in.size() + 1;
    if (size > in.size()) return {};
    if (type == 2 && tag >> 3 == number) return in.substr(0, size);
    in.remove_prefix(size);
  }
  return {};
}

// What goim's logic reads.
std::string Token(std::int64_t mid, std::string_view room, std::string_view key) {
  std::string out = "{\"mid\":" + std::to_string(mid) + ",\"room_id\":\"";
  out.append(room);
  if (!key.empty()) out.append("\",\"key\":\"").append(key);
  out.append("\",\"platform\":\"bench\",\"accepts\":[1000]}");
  return out;
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
  Put32(out, 16U << 16 | 1U);  // header length; version, which no server looks at
  Put32(out, static_cast<std::uint32_t>(op));
  Put32(out, 1);  // sequence
  out->append(body);
}

void AppendLogin(int version,
                 bool ws,
                 std::int64_t mid,
                 std::string_view room,
                 std::string_view key,
                 std::string* out) {
  std::string body = Token(mid, room, key);
  if (version == 2) {
    std::string connect;
    PutField(1, body, &connect);
    PutField(3, "bench", &connect);
    body.swap(connect);
  }
  AppendPackage(ws, WordsOf(version).login, body, out);
}

void AppendHeartbeat(int version, bool ws, std::string* out) {
  AppendPackage(ws, WordsOf(version).heartbeat, {}, out);
}

Incoming Classify(int version, std::int32_t op, const char* body, std::size_t size) {
  const Words& words = WordsOf(version);
  const std::string_view text(body, size);
  if (op == words.push) return {Kind::kPush, version == 1 ? text : FindField(5, text)};
  if (op == words.welcome) return {Kind::kWelcome, text};
  if (op == words.heartbeat_reply) return {Kind::kHeartbeatReply, text};
  return {};
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

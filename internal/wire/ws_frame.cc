#include "wire/ws_frame.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/bytes.h"

namespace encke::wire {
namespace {

// frame := FIN 1 | RSV 3 | opcode 4 | MASK 1 | length 7 | [length 16 or 64] | [key 32] | payload
constexpr unsigned kFin = 0x80;
constexpr unsigned kRsv = 0x70;
constexpr unsigned kOpcode = 0x0f;
constexpr unsigned kMasked = 0x80;
constexpr unsigned kLength = 0x7f;
constexpr unsigned kLength16 = 126;
constexpr unsigned kLength64 = 127;
constexpr std::size_t kKeyBytes = 4;
constexpr std::size_t kControlPayloadMax = 125;

bool KnownOpcode(unsigned opcode) { return opcode <= 2 || (opcode >= 8 && opcode <= 10); }

bool IsControl(WsOpcode opcode) { return (static_cast<unsigned>(opcode) & 8) != 0; }

void Unmask(char* bytes, std::size_t size, const char* key) {
  std::array<char, 8> twice{};
  std::memcpy(twice.data(), key, kKeyBytes);
  std::memcpy(twice.data() + kKeyBytes, key, kKeyBytes);
  std::uint64_t wide = 0;
  std::memcpy(&wide, twice.data(), sizeof(wide));
  std::size_t i = 0;
  for (; i + sizeof(wide) <= size; i += sizeof(wide)) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes + i, sizeof(word));
    word ^= wide;
    std::memcpy(bytes + i, &word, sizeof(word));
  }
  for (; i < size; ++i)
    bytes[i] = static_cast<char>(bytes[i] ^ key[i % kKeyBytes]);
}

struct Head {
  std::size_t bytes = 0;  // of the head itself, with the masking key
  std::uint64_t payload_bytes = 0;
  bool masked = false;
};

// False: the head is not complete yet.
bool ReadHead(const char* in, std::size_t size, Head* head) {
  const unsigned second = static_cast<unsigned char>(in[1]);
  const unsigned length = second & kLength;
  head->masked = (second & kMasked) != 0;
  head->bytes = 2 + (length == kLength16 ? 2 : length == kLength64 ? 8 : 0);
  if (size < head->bytes) return false;
  head->payload_bytes = length;
  if (length == kLength16) head->payload_bytes = GetU16(in + 2);
  if (length == kLength64) head->payload_bytes = GetU64(in + 2);
  if (head->masked) head->bytes += kKeyBytes;
  return true;
}

}  // namespace

WsParsed ParseWsFrame(
    char* in, std::size_t size, std::size_t payload_max, WsFrame* out, std::size_t* consumed) {
  if (size < 2) return WsParsed::kNeedMore;
  const unsigned first = static_cast<unsigned char>(in[0]);
  if ((first & kRsv) != 0 || !KnownOpcode(first & kOpcode)) return WsParsed::kProtocolError;
  const auto opcode = static_cast<WsOpcode>(first & kOpcode);
  const bool fin = (first & kFin) != 0;
  Head head;
  const bool complete = ReadHead(in, size, &head);
  if (IsControl(opcode)) {
    const unsigned length = static_cast<unsigned char>(in[1]) & kLength;
    if (!fin || length > kControlPayloadMax) return WsParsed::kProtocolError;
  }
  if (!complete) return WsParsed::kNeedMore;
  if (head.payload_bytes > payload_max) return WsParsed::kTooBig;
  if (size < head.bytes || size - head.bytes < head.payload_bytes) return WsParsed::kNeedMore;

  char* payload = in + head.bytes;
  const auto payload_bytes = static_cast<std::size_t>(head.payload_bytes);
  if (head.masked) {
    char* key = payload - kKeyBytes;
    Unmask(payload, payload_bytes, key);
    std::memset(key, 0, kKeyBytes);  // whoever parses these bytes once more sees the same frame
  }
  *out = WsFrame{fin, opcode, std::string_view(payload, payload_bytes)};
  *consumed = head.bytes + payload_bytes;
  return WsParsed::kFrame;
}

WsAssembler::Joined WsAssembler::Add(const WsFrame& frame,
                                     std::size_t message_max,
                                     std::string_view* message) {
  if (partial_ != nullptr && partial_->done) partial_.reset();
  const bool continues = frame.opcode == WsOpcode::kContinuation;
  if (IsControl(frame.opcode) || continues != (partial_ != nullptr)) return Joined::kProtocolError;
  const std::size_t before = continues ? partial_->bytes.size() : 0;
  if (before > message_max || frame.payload.size() > message_max - before) return Joined::kTooBig;
  if (!continues && frame.fin) {  // the usual case: nothing to join, nothing to copy
    *message = frame.payload;
    return Joined::kMessage;
  }
  if (!continues) partial_ = std::make_unique<Partial>();
  if (++partial_->fragments > kFragmentsMax) return Joined::kTooBig;
  partial_->bytes.append(frame.payload);
  if (!frame.fin) return Joined::kMore;
  partial_->done = true;
  *message = partial_->bytes;
  return Joined::kMessage;
}

void AppendWsHeader(std::string* out, WsOpcode opcode, std::size_t payload_bytes) {
  std::array<char, 10> raw{};
  raw[0] = static_cast<char>(kFin | static_cast<unsigned>(opcode));
  std::size_t size = 2;
  if (payload_bytes < kLength16) {
    raw[1] = static_cast<char>(payload_bytes);
  } else if (payload_bytes <= 0xffff) {
    raw[1] = static_cast<char>(kLength16);
    PutU16(raw.data() + 2, static_cast<std::uint16_t>(payload_bytes));
    size = 4;
  } else {
    raw[1] = static_cast<char>(kLength64);
    PutU64(raw.data() + 2, payload_bytes);
    size = 10;
  }
  out->append(raw.data(), size);
}

void AppendWsClose(std::string* out, std::uint16_t code, std::string_view reason) {
  std::size_t room = std::min(reason.size(), kControlPayloadMax - 2);
  // Cut between characters: the reason must stay valid UTF-8.
  while (room > 0 && room < reason.size() &&
         (static_cast<unsigned char>(reason[room]) & 0xc0) == 0x80) {
    --room;
  }
  AppendWsHeader(out, WsOpcode::kClose, 2 + room);
  std::array<char, 2> raw{};
  PutU16(raw.data(), code);
  out->append(raw.data(), raw.size());
  out->append(reason.substr(0, room));
}

std::uint16_t WsCloseAnswer(std::string_view payload) {
  if (payload.empty()) return kWsNormal;
  if (payload.size() < 2) return kWsProtocolError;
  const std::uint16_t code = GetU16(payload.data());
  const bool reserved = code < 1000 || code == 1004 || code == 1005 || code == 1006 ||
                        (code > 1014 && code < 3000) || code > 4999;
  return reserved ? kWsProtocolError : code;
}

}  // namespace encke::wire

#include "wire/package.h"

#include <array>

#include "base/bytes.h"

namespace encke::wire {
namespace {

struct Header {
  std::int32_t pack_bytes;
  std::int16_t header_bytes;
  Package package;  // without its body
};

Header ReadHeader(const char* in) {
  Header header{static_cast<std::int32_t>(GetU32(in)), static_cast<std::int16_t>(GetU16(in + 4)),
                Package{}};
  header.package.ver = static_cast<std::int16_t>(GetU16(in + 6));
  header.package.op = static_cast<std::int32_t>(GetU32(in + 8));
  header.package.seq = static_cast<std::int32_t>(GetU32(in + 12));
  return header;
}

bool TooLong(const Header& header) {
  return header.pack_bytes > static_cast<std::int32_t>(kHeaderBytes + kBodyBytesMax);
}

// 0..15 and negative lengths mean an empty body; only the header is consumed then.
std::size_t BytesOf(const Header& header) {
  if (header.pack_bytes < static_cast<std::int32_t>(kHeaderBytes)) return kHeaderBytes;
  return static_cast<std::size_t>(header.pack_bytes);
}

}  // namespace

Parsed ParseStream(std::string_view in, Package* out, std::size_t* consumed) {
  if (in.size() < kHeaderBytes) return Parsed::kNeedMore;
  const Header header = ReadHeader(in.data());
  if (TooLong(header)) return Parsed::kTooLong;
  if (header.header_bytes != static_cast<std::int16_t>(kHeaderBytes)) return Parsed::kBadHeader;
  const std::size_t bytes = BytesOf(header);
  if (in.size() < bytes) return Parsed::kNeedMore;
  *out = header.package;
  out->body = in.substr(kHeaderBytes, bytes - kHeaderBytes);
  *consumed = bytes;
  return Parsed::kPackage;
}

Parsed ParseMessage(std::string_view message, Package* out) {
  if (message.size() < kHeaderBytes) return Parsed::kBadHeader;
  const Header header = ReadHeader(message.data());
  if (TooLong(header)) return Parsed::kTooLong;
  if (header.pack_bytes < 0) return Parsed::kBadHeader;
  if (header.header_bytes != static_cast<std::int16_t>(kHeaderBytes)) return Parsed::kBadHeader;
  const std::size_t bytes = BytesOf(header);
  if (message.size() < bytes) return Parsed::kBadHeader;
  *out = header.package;
  out->body = message.substr(kHeaderBytes, bytes - kHeaderBytes);
  return Parsed::kPackage;
}

void AppendHeader(
    std::string* out, std::int16_t ver, std::int32_t op, std::int32_t seq, std::size_t body_bytes) {
  std::array<char, kHeaderBytes> raw{};
  PutU32(raw.data(), static_cast<std::uint32_t>(kHeaderBytes + body_bytes));
  PutU16(raw.data() + 4, kHeaderBytes);
  PutU16(raw.data() + 6, static_cast<std::uint16_t>(ver));
  PutU32(raw.data() + 8, static_cast<std::uint32_t>(op));
  PutU32(raw.data() + 12, static_cast<std::uint32_t>(seq));
  out->append(raw.data(), raw.size());
}

void AppendPackage(std::string* out, const Package& package) {
  AppendHeader(out, package.ver, package.op, package.seq, package.body.size());
  out->append(package.body);
}

}  // namespace encke::wire

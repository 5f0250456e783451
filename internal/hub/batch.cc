#include "hub/batch.h"

#include <utility>

#include "wire/op.h"
#include "wire/package.h"
#include "wire/ws_frame.h"

namespace encke::hub {
namespace {

constexpr std::size_t kWsHeaderMax = 10;  // 2, and 8 for a long length

SharedBytes WrapForWs(std::string_view packages) {
  const std::size_t payload = wire::kHeaderBytes + packages.size();
  std::string frame;
  frame.reserve(kWsHeaderMax + payload);
  wire::AppendWsHeader(&frame, wire::WsOpcode::kBinary, payload);
  wire::AppendHeader(&frame, 1, wire::kOpRaw, 0, packages.size());
  frame += packages;
  return Share(std::move(frame));
}

std::string_view SkipPackages(std::string_view packages, std::uint32_t count) {
  for (; count > 0; --count)
    packages.remove_prefix(GetU32(packages.data()));
  return packages;
}

}  // namespace

std::size_t PushBytes(std::string_view body) { return wire::kHeaderBytes + body.size(); }

void AppendPush(std::string* out, std::int32_t op, std::string_view body) {
  wire::AppendPackage(out, {.ver = 1, .op = op, .seq = 0, .body = body});
}

const SharedBytes& Outgoing::As(Format format) {
  if (format == Format::kTcp) return tcp_;
  if (ws_ == nullptr) ws_ = WrapForWs(*tcp_);
  return ws_;
}

const SharedBytes& Outgoing::Tail(Format format, std::uint32_t skip) {
  if (skip == 0) return As(format);
  Cut& cut = tails_[static_cast<std::size_t>(format)];
  if (cut.skip != skip) {
    const std::string_view rest = SkipPackages(*tcp_, skip);
    cut.bytes = format == Format::kTcp ? Share(std::string(rest)) : WrapForWs(rest);
    cut.skip = skip;
  }
  return cut.bytes;
}

}  // namespace encke::hub

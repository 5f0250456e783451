// Fuzz: packages from a TCP stream and from one WebSocket message.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "wire/package.h"

namespace {

using encke::wire::Package;
using encke::wire::Parsed;

void Require(bool holds) {
  if (!holds) std::abort();
}

// What was read must be writable and read again as the same thing.
void CheckRoundTrip(const Package& package) {
  std::string bytes;
  encke::wire::AppendPackage(&bytes, package);
  Package again;
  std::size_t consumed = 0;
  Require(encke::wire::ParseStream(bytes, &again, &consumed) == Parsed::kPackage);
  Require(consumed == bytes.size());
  Require(again.ver == package.ver && again.op == package.op && again.seq == package.seq);
  Require(again.body == package.body);
  Require(encke::wire::ParseMessage(bytes, &again) == Parsed::kPackage);
  Require(again.body == package.body);
}

void ReadStream(std::string_view in) {
  while (true) {
    Package package;
    std::size_t consumed = 0;
    if (encke::wire::ParseStream(in, &package, &consumed) != Parsed::kPackage) return;
    Require(consumed >= encke::wire::kHeaderBytes && consumed <= in.size());
    Require(package.body.size() <= encke::wire::kBodyBytesMax);
    CheckRoundTrip(package);
    in.remove_prefix(consumed);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string in(reinterpret_cast<const char*>(data), size);
  ReadStream(in);
  Package package;
  if (encke::wire::ParseMessage(in, &package) == Parsed::kPackage) CheckRoundTrip(package);
  return 0;
}

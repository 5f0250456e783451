// Fuzz: the HTTP request that opens a WebSocket, and the answers made from it.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "wire/ws_upgrade.h"

namespace {

using encke::wire::UpgradeParsed;
using encke::wire::WsUpgrade;

void Require(bool holds) {
  if (!holds) std::abort();
}

bool Within(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

bool OneLine(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

void CheckUpgrade(const WsUpgrade& upgrade, std::string_view in, std::size_t consumed) {
  Require(consumed > 0 && consumed <= in.size() && consumed <= encke::wire::kUpgradeBytesMax);
  for (const std::string_view part :
       {upgrade.path, upgrade.query, upgrade.key, upgrade.cookie, upgrade.forwarded_for}) {
    Require(Within(part, in.substr(0, consumed)) && OneLine(part));
  }
  Require(upgrade.path == "/sub" && !upgrade.key.empty());
  // Sec-WebSocket-Accept is 28 characters whatever the key was.
  Require(encke::wire::UpgradeAnswer(upgrade.key).size() == encke::wire::UpgradeAnswer("").size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string in(reinterpret_cast<const char*>(data), size);
  WsUpgrade upgrade;
  std::size_t consumed = 0;
  int status = 0;
  switch (encke::wire::ParseUpgrade(in, &upgrade, &consumed, &status)) {
    case UpgradeParsed::kUpgrade:
      CheckUpgrade(upgrade, in, consumed);
      break;
    case UpgradeParsed::kNeedMore:
      Require(in.size() < encke::wire::kUpgradeBytesMax);
      break;
    case UpgradeParsed::kRefused:
      Require(status >= 400 && status < 500);
      Require(encke::wire::UpgradeRefusal(status).size() > 40);
      break;
  }
  return 0;
}

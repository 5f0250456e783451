#include "auth/api_keys.h"

#include <algorithm>
#include <array>
#include <utility>

#include <arpa/inet.h>
#include <fmt/core.h>
#include <openssl/crypto.h>

namespace encke::auth {
namespace {

constexpr std::string_view kBearer = "bearer ";

bool StartsWithBearer(std::string_view text) {
  return text.size() > kBearer.size() &&
         std::equal(kBearer.begin(), kBearer.end(), text.begin(),
                    [](char want, char c) { return want == (c >= 'A' && c <= 'Z' ? c + 32 : c); });
}

std::string HostOf(std::string_view address) {
  std::string_view host = address.substr(0, address.rfind(':'));
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return std::string(host);
}

}  // namespace

Result<ApiKeys> ApiKeys::Make(std::vector<std::string> keys) {
  ApiKeys made(std::make_shared<const std::vector<std::string>>());
  if (Status taken = made.Replace(std::move(keys)); !taken) return taken.error();
  return made;
}

Status ApiKeys::Replace(std::vector<std::string> keys) {
  for (const std::string& key : keys) {
    const bool sendable =
        std::all_of(key.begin(), key.end(), [](char c) { return c > ' ' && c < 0x7f; });
    if (key.empty() || !sendable) {
      return Error{Errc::kInvalid, "api.keys: a key is empty or has characters beyond ! to ~"};
    }
  }
  auto fresh = std::make_shared<const std::vector<std::string>>(std::move(keys));
  keys_->With([&](Keys& mine) { mine.swap(fresh); });
  return Ok{};
}

bool ApiKeys::Knows(const std::vector<std::string>& keys, std::string_view key) {
  bool known = false;
  for (const std::string& mine : keys) {
    const bool same =
        mine.size() == key.size() && CRYPTO_memcmp(mine.data(), key.data(), key.size()) == 0;
    known = known || same;
  }
  return known;
}

bool ApiKeys::Allow(std::string_view authorization, std::string_view api_key) const {
  const Keys keys = Current();
  if (keys->empty()) return true;
  if (!api_key.empty() && Knows(*keys, api_key)) return true;
  if (!StartsWithBearer(authorization)) return false;
  authorization.remove_prefix(kBearer.size());
  authorization.remove_prefix(std::min(authorization.find_first_not_of(' '), authorization.size()));
  return Knows(*keys, authorization);
}

Status ApiKeys::MayListen(std::string_view setting, std::string_view address) const {
  if (!empty() || IsLoopback(address)) return Ok{};
  return Error{Errc::kInvalid,
               fmt::format("{} {}: set api.keys before the push API listens beyond loopback",
                           setting, address)};
}

bool IsLoopback(std::string_view address) {
  const std::string host = HostOf(address);
  if (host == "localhost") return true;
  in_addr v4{};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return ntohl(v4.s_addr) >> 24 == 127;
  in6_addr v6{};
  return inet_pton(AF_INET6, host.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

}  // namespace encke::auth

// Fuzz: what a client may put into an auth package: goim's JSON, a JWT, and both together.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "auth/auth.h"
#include "auth/goim_token.h"
#include "auth/jwt.h"

namespace {

using encke::auth::GoimToken;

void Require(bool holds) {
  if (!holds) std::abort();
}

// What was accepted is within the limits, and says the same when written plainly.
void CheckToken(const GoimToken& token) {
  Require(token.key.size() <= GoimToken::kNameBytesMax);
  Require(token.room.size() <= GoimToken::kNameBytesMax);
  Require(token.accepts.size() <= GoimToken::kAcceptsMax);
  const nlohmann::json plain = {
      {"mid", token.mid}, {"key", token.key}, {"room_id", token.room}, {"accepts", token.accepts}};
  const auto again = encke::auth::ParseGoimToken(plain.dump(), false);
  Require(again && again->mid == token.mid && again->key == token.key);
  Require(again->room == token.room && again->accepts == token.accepts);
}

void CheckJwt(std::string_view text) {
  static const auto ring = *encke::auth::KeyRing::Load({});
  std::string payload;
  Require(ring->Open(text, &payload) !=
          encke::auth::JwtFault::kNone);  // without keys nobody enters
  encke::auth::JwtOptions options;
  options.require_exp = false;
  encke::auth::JwtClaims claims;
  if (encke::auth::ReadClaims(options, text, 0, &claims) == encke::auth::JwtFault::kNone) {
    Require(claims.accepts.size() <= GoimToken::kAcceptsMax);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view in(reinterpret_cast<const char*>(data), size);
  if (const auto token = encke::auth::ParseGoimToken(in, false)) CheckToken(*token);
  if (const auto token = encke::auth::ParseGoimToken(in, true)) CheckJwt(token->token);
  CheckJwt(in);
  static const auto auth = std::move(*encke::auth::Auth::Make({}));
  encke::auth::Identity who;
  if (auth->Check(in, "", "", &who) == encke::auth::AuthVerdict::kOk) {
    Require(!who.key.value().empty());
  }
  return 0;
}

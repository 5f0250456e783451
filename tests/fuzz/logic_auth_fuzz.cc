// Fuzz: what a client may put into an auth package: goim's JSON, a JWT, and both together.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "logic/auth.h"
#include "logic/goim_token.h"
#include "logic/jwt.h"

namespace {

using encke::logic::GoimToken;

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
  const auto again = encke::logic::ParseGoimToken(plain.dump(), false);
  Require(again && again->mid == token.mid && again->key == token.key);
  Require(again->room == token.room && again->accepts == token.accepts);
}

void CheckJwt(std::string_view text) {
  static const auto ring = *encke::logic::KeyRing::Load({});
  std::string payload;
  Require(ring->Open(text, &payload) !=
          encke::logic::JwtFault::kNone);  // without keys nobody enters
  encke::logic::JwtOptions options;
  options.require_exp = false;
  encke::logic::JwtClaims claims;
  if (encke::logic::ReadClaims(options, text, 0, &claims) == encke::logic::JwtFault::kNone) {
    Require(claims.accepts.size() <= GoimToken::kAcceptsMax);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view in(reinterpret_cast<const char*>(data), size);
  if (const auto token = encke::logic::ParseGoimToken(in, false)) CheckToken(*token);
  if (const auto token = encke::logic::ParseGoimToken(in, true)) CheckJwt(token->token);
  CheckJwt(in);
  static const auto auth = std::move(*encke::logic::Auth::Make({}));
  encke::logic::Identity who;
  if (auth->Check(in, "", "", &who) == encke::logic::AuthVerdict::kOk) {
    Require(!who.key.value().empty());
  }
  return 0;
}

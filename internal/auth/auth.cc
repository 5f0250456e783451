#include "auth/auth.h"

#include <cassert>
#include <utility>

#include "auth/goim_token.h"
#include "base/clock.h"

namespace encke::auth {

namespace {

AuthVerdict VerdictOf(JwtFault fault) {
  switch (fault) {
    case JwtFault::kNone:
      return AuthVerdict::kOk;
    case JwtFault::kMalformed:
      return AuthVerdict::kMalformed;
    case JwtFault::kAlgorithm:
      return AuthVerdict::kAlgorithm;
    case JwtFault::kUnknownKey:
      return AuthVerdict::kUnknownKey;
    case JwtFault::kSignature:
      return AuthVerdict::kSignature;
    case JwtFault::kExpired:
      return AuthVerdict::kExpired;
    case JwtFault::kEarly:
      return AuthVerdict::kEarly;
    case JwtFault::kClaims:
      return AuthVerdict::kClaims;
  }
  assert(false);
  return AuthVerdict::kMalformed;
}

AuthVerdict VerdictOf(const Error& error) {
  return error.code == Errc::kOverloaded ? AuthVerdict::kTooLarge : AuthVerdict::kMalformed;
}

// A body that is the token itself begins with base64url; JSON cannot begin so, but for "null".
bool LooksLikeJws(std::string_view body) {
  return !body.empty() && body.find('.') != std::string_view::npos &&
         body.find_first_of("{[\" \t\r\n") == std::string_view::npos;
}

void Take(GoimToken&& from, Identity* out) {
  out->mid = Mid(from.mid);
  out->key = Key(std::move(from.key));
  out->room = RoomId(std::move(from.room));
  out->accepts = std::move(from.accepts);
}

}  // namespace

Result<std::unique_ptr<Auth>> Auth::Make(const AuthOptions& options) {
  Result<Keys> keys = KeyRing::Load(options.jwt.keys);
  if (!keys) return keys.error();
  if (options.mode == "jwt" && (*keys)->size() == 0) {
    return Error{Errc::kInvalid, "auth.mode jwt needs a file in auth.jwt.keys"};
  }
  return std::unique_ptr<Auth>(new Auth(options, std::move(*keys)));
}

Auth::Auth(const AuthOptions& options, Keys keys) : options_(options), keys_(std::move(keys)) {}

Status Auth::Reload(const std::vector<std::string>& files) {
  Result<Keys> keys = KeyRing::Load(files);
  if (!keys) return keys.error();
  if (options_.mode == "jwt" && (*keys)->size() == 0) {
    return Error{Errc::kInvalid, "auth.mode jwt needs a file in auth.jwt.keys"};
  }
  keys_.With([&](Keys& mine) { mine = std::move(*keys); });
  return Ok{};
}

// Cookie and address are for verdicts that need them; neither mode does.
AuthVerdict Auth::Check(std::string_view token,
                        std::string_view /*cookie*/,
                        std::string_view /*client_ip*/,
                        Identity* out) {
  const AuthVerdict verdict = Judge(token, out);
  if (verdict == AuthVerdict::kOk && out->key.value().empty()) out->key = Key(NewUuid());
  verdicts_[static_cast<std::size_t>(verdict)].Add();
  return verdict;
}

AuthVerdict Auth::Judge(std::string_view token, Identity* out) const {
  if (options_.mode == "jwt") return JudgeJwt(token, out);
  Result<GoimToken> parsed = ParseGoimToken(token, /*with_token=*/false);
  if (!parsed) return VerdictOf(parsed.error());
  Take(std::move(*parsed), out);
  return AuthVerdict::kOk;
}

AuthVerdict Auth::JudgeJwt(std::string_view body, Identity* out) const {
  GoimToken beside;
  if (LooksLikeJws(body)) {
    beside.token = body;
  } else {
    Result<GoimToken> parsed = ParseGoimToken(body, /*with_token=*/true);
    if (!parsed) return VerdictOf(parsed.error());
    beside = std::move(*parsed);
  }
  if (beside.token.empty()) return AuthVerdict::kNoToken;
  const Keys keys = keys_.With([](const Keys& mine) { return mine; });
  std::string payload;
  JwtFault fault = keys->Open(beside.token, &payload);
  if (fault != JwtFault::kNone) return VerdictOf(fault);
  JwtClaims claims;
  fault = ReadClaims(options_.jwt, payload, WallUs() / 1'000'000, &claims);
  if (fault != JwtFault::kNone) return VerdictOf(fault);
  out->key_is_a_wish = !claims.has_key && !beside.key.empty();
  if (claims.has_key) beside.key = std::move(claims.key);
  if (claims.has_room) beside.room = std::move(claims.room);
  if (claims.has_accepts) beside.accepts = std::move(claims.accepts);
  beside.mid = claims.mid;
  Take(std::move(beside), out);
  return AuthVerdict::kOk;
}

}  // namespace encke::auth

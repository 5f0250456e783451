#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include <nlohmann/json.hpp>

#include "auth/goim_token.h"
#include "auth/jwt.h"

namespace encke::auth {

namespace {

using Json = nlohmann::json;

constexpr std::uint64_t kOpMax = std::numeric_limits<std::int32_t>::max();

// A NumericDate: seconds, perhaps with a fraction.
std::optional<double> Date(const Json& claims, const char* name) {
  const auto found = claims.find(name);
  if (found == claims.end() || !found->is_number()) return std::nullopt;
  return found->get<double>();
}

JwtFault JudgeTime(const JwtOptions& options, const Json& claims, std::int64_t now_s) {
  const double now = static_cast<double>(now_s);
  const double leeway = static_cast<double>(options.leeway.count()) / 1000;
  if (claims.contains("exp")) {
    const auto exp = Date(claims, "exp");
    if (!exp) return JwtFault::kClaims;
    if (now >= *exp + leeway) return JwtFault::kExpired;
  } else if (options.require_exp) {
    return JwtFault::kClaims;
  }
  if (claims.contains("nbf")) {
    const auto nbf = Date(claims, "nbf");
    if (!nbf) return JwtFault::kClaims;
    if (now + leeway < *nbf) return JwtFault::kEarly;
  }
  return JwtFault::kNone;
}

bool Names(const Json& claim, const std::string& audience) {
  if (claim.is_string()) return claim == audience;
  if (!claim.is_array()) return false;
  for (const Json& one : claim)
    if (one.is_string() && one == audience) return true;
  return false;
}

bool JudgeOrigin(const JwtOptions& options, const Json& claims) {
  const auto claim = [&](const char* name) { return claims.value(name, Json()); };
  const bool issuer = options.issuer.empty() || claim("iss") == Json(options.issuer);
  return issuer && (options.audience.empty() || Names(claim("aud"), options.audience));
}

bool ReadMid(const Json& claims, std::int64_t* mid) {
  const auto sub = claims.find("sub");
  if (sub == claims.end()) return true;
  if (sub->is_number_unsigned()) {
    const auto value = sub->get<std::uint64_t>();
    *mid = static_cast<std::int64_t>(value);
    return value <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  }
  if (sub->is_number_integer()) {
    *mid = sub->get<std::int64_t>();
    return true;
  }
  if (!sub->is_string()) return false;
  const auto& text = sub->get_ref<const std::string&>();
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *mid);
  return error == std::errc() && end == text.data() + text.size();
}

// Absent is fine; present must be text within the limit.
bool ReadName(const Json& claims, const char* name, bool* has, std::string* out) {
  const auto found = claims.find(name);
  if (found == claims.end()) return true;
  if (!found->is_string()) return false;
  *out = found->get<std::string>();
  *has = true;
  return out->size() <= GoimToken::kNameBytesMax;
}

bool ReadAccepts(const Json& claims, JwtClaims* out) {
  const auto found = claims.find("accepts");
  if (found == claims.end()) return true;
  if (!found->is_array() || found->size() > GoimToken::kAcceptsMax) return false;
  for (const Json& op : *found) {
    if (!op.is_number_integer()) return false;
    if (op.is_number_unsigned() && op.get<std::uint64_t>() > kOpMax) return false;
    const auto value = op.get<std::int64_t>();
    if (value < std::numeric_limits<std::int32_t>::min() ||
        value > std::numeric_limits<std::int32_t>::max()) {
      return false;
    }
    out->accepts.push_back(static_cast<std::int32_t>(value));
  }
  out->has_accepts = true;
  return true;
}

}  // namespace

JwtFault ReadClaims(const JwtOptions& options,
                    std::string_view payload,
                    std::int64_t now_s,
                    JwtClaims* out) {
  const Json claims = Json::parse(payload, nullptr, /*allow_exceptions=*/false);
  if (!claims.is_object()) return JwtFault::kMalformed;
  const JwtFault time = JudgeTime(options, claims, now_s);
  if (time != JwtFault::kNone) return time;
  const bool good = JudgeOrigin(options, claims) && ReadMid(claims, &out->mid) &&
                    ReadName(claims, "key", &out->has_key, &out->key) &&
                    ReadName(claims, "room_id", &out->has_room, &out->room) &&
                    ReadName(claims, "room", &out->has_room, &out->room) &&
                    ReadAccepts(claims, out);
  return good ? JwtFault::kNone : JwtFault::kClaims;
}

}  // namespace encke::auth

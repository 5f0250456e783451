#pragma once
// Auth: the body of an auth package -> who that is.
//
// Mode "goim" believes whatever the JSON says, as goim does: only for closed networks and demos.
// Mode "jwt" wants a signed token, as the whole body or in the JSON field "token"; key, room and
// operations beside it count only where the token is silent, mid never does.
//
// Owner    main of logic.
// Thread   any.
// Limit    see GoimToken; tokens of 8192 bytes.

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "auth/jwt.h"
#include "base/ids.h"
#include "base/metrics.h"
#include "base/result.h"
#include "base/threads.h"

namespace encke::auth {

struct AuthOptions {
  std::string mode = "goim";  // "goim" or "jwt"
  bool allow_open = false;    // mode goim although a door is not loopback
  JwtOptions jwt;
};

struct Identity {
  Mid mid;
  Key key;                     // a fresh UUID when the client chose none
  bool key_is_a_wish = false;  // its client chose it, and nobody vouches for that
  RoomId room;                 // empty = none
  std::vector<std::int32_t> accepts;
};

// Every way a check can end, and its name in the metrics.
enum class AuthVerdict : std::uint8_t {
  kOk,
  kMalformed,
  kTooLarge,
  kNoToken,
  kAlgorithm,
  kUnknownKey,
  kSignature,
  kExpired,
  kEarly,
  kClaims,
};
inline constexpr std::array<std::string_view, 10> kAuthVerdicts = {
    "ok",          "malformed", "too_large", "no_token", "algorithm",
    "unknown_key", "signature", "expired",   "early",    "claims"};

class Auth {
 public:
  static Result<std::unique_ptr<Auth>> Make(const AuthOptions& options);

  AuthVerdict Check(std::string_view token,
                    std::string_view cookie,
                    std::string_view client_ip,
                    Identity* out);
  // Reads key files anew, those of the options or others; on error the old keys stay.
  Status Reload(const std::vector<std::string>& files);
  const Counter& verdicts(AuthVerdict verdict) const {
    return verdicts_[static_cast<std::size_t>(verdict)];
  }
  const AuthOptions& options() const { return options_; }

 private:
  using Keys = std::shared_ptr<const KeyRing>;
  Auth(const AuthOptions& options, Keys keys);
  AuthVerdict Judge(std::string_view token, Identity* out) const;
  AuthVerdict JudgeJwt(std::string_view body, Identity* out) const;

  const AuthOptions options_;
  Guarded<Keys> keys_;
  std::array<Counter, kAuthVerdicts.size()> verdicts_;
};

}  // namespace encke::auth

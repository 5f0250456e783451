#pragma once
// Jwt: verifies compact JWS tokens with keys from files.
//
// A file is one key and its name without the ending is the key's id: "2026a.pem" (PUBLIC KEY: RSA
// of 2048 bits or more, EC P-256, Ed25519) or "app.secret" (the raw bytes of an HMAC secret, 32 or
// more, no newline at the end).  The kind of the key decides the algorithm (RS256, ES256, EdDSA,
// HS256); a token whose header says another one is refused, "none" always.  A token with "kid" is
// checked with that key only, one without with every key of its algorithm.
//
// Owner    Auth.
// Thread   any: a KeyRing never changes; a reload makes a new one.
// Limit    tokens of 8192 bytes.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace encke::auth {

struct JwtOptions {
  std::vector<std::string> keys;  // files
  std::string issuer;             // "" = any
  std::string audience;           // "" = any
  Duration leeway{30'000};        // for exp and nbf
  bool require_exp = true;
};

enum class JwtFault : std::uint8_t {
  kNone,
  kMalformed,   // not three parts of base64url with JSON in them, or "crit" is used
  kAlgorithm,   // none, unknown, or not the algorithm of the key
  kUnknownKey,  // no key with that id
  kSignature,
  kExpired,
  kEarly,   // nbf is still to come
  kClaims,  // iss, aud, sub, key, room or accepts is missing or wrong
};

struct JwtClaims {
  std::int64_t mid = 0;  // "sub", decimal text or number; absent = 0, anonymous
  bool has_key = false, has_room = false, has_accepts = false;
  std::string key;   // "key"
  std::string room;  // "room" or "room_id"
  std::vector<std::int32_t> accepts;
};

class KeyRing {
 public:
  static Result<std::shared_ptr<const KeyRing>> Load(const std::vector<std::string>& files);
  ~KeyRing();
  KeyRing(const KeyRing&) = delete;
  KeyRing& operator=(const KeyRing&) = delete;
  std::size_t size() const;

  // Checks form, algorithm and signature; *payload is the JSON text, still unjudged.
  JwtFault Open(std::string_view token, std::string* payload) const;

 private:
  struct Impl;
  KeyRing();
  std::unique_ptr<Impl> impl_;
};

// Judges the claims at the wall time `now_s` (seconds since 1970).
JwtFault ReadClaims(const JwtOptions& options,
                    std::string_view payload,
                    std::int64_t now_s,
                    JwtClaims* out);

}  // namespace encke::auth

#pragma once
// GoimToken: the JSON body of goim's auth package, read exactly as Go's encoding/json reads it.
//
//   {"mid":1, "key":"k", "room_id":"live://1", "platform":"web", "accepts":[1000,1001]}
//
// "{}" and "null" are fine, names match in any case, unknown names are skipped, null changes
// nothing, of a repeated name the last one counts.  Integers are plain and in range; everything
// after the value, an empty body or another shape is refused.  Bytes that are no UTF-8 and lone
// surrogates become U+FFFD.
//
// Owner    a pure function.
// Thread   any.
// Limit    key and room 256 bytes, 1024 operations: more is refused (goim has no limit but the
//          4096-byte package).  A number past the range of a double is refused even in an unknown
//          field, where Go would skip it.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace encke::auth {

struct GoimToken {
  static constexpr std::size_t kNameBytesMax = 256;
  static constexpr std::size_t kAcceptsMax = 1024;

  std::int64_t mid = 0;
  std::string key;
  std::string room;
  std::vector<std::int32_t> accepts;
  std::string token;  // ours: a JWT beside goim's fields; read only when asked for
};

// with_token: the field "token" is known too.
// kInvalid: not that JSON; kOverloaded: past a limit.
Result<GoimToken> ParseGoimToken(std::string_view body, bool with_token);

// Makes every byte that Go would replace by U+FFFD that character, so that a strict JSON parser
// reads what Go reads.  Lone \ud800 escapes become \ufffd.
std::string RepairUtf8(std::string_view text);

}  // namespace encke::auth

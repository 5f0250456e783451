#pragma once
// GoText: texts exactly as Go's standard library writes them, for replies that must not differ.
//
// Owner    pure functions.
// Thread   any.
// Limit    none.

#include <string>
#include <string_view>

namespace encke::goim {

// encoding/json: quotes, escapes < > & and the two line separators, replaces what is not UTF-8.
void AppendGoJson(std::string* out, std::string_view text);
std::string GoJson(std::string_view text);

// encoding/json: the shortest digits that give the same float32, never with an exponent.
std::string GoFloat32(float value);

// strconv.Quote, with every code point from U+00A0 on taken as printable.
std::string GoQuoted(std::string_view text);

}  // namespace encke::goim

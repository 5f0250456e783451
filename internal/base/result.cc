#include "base/result.h"

#include <cassert>

namespace encke {

std::string_view ToString(Errc code) {
  switch (code) {
    case Errc::kInvalid:
      return "invalid";
    case Errc::kNotFound:
      return "not found";
    case Errc::kUnavailable:
      return "unavailable";
    case Errc::kTimeout:
      return "timeout";
    case Errc::kClosed:
      return "closed";
    case Errc::kOverloaded:
      return "overloaded";
    case Errc::kConflict:
      return "conflict";
  }
  assert(false);
  return "?";
}

}  // namespace encke

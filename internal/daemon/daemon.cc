#include "daemon/daemon.h"

#include <exception>

namespace encke::daemon {
namespace {

int Complain(std::string_view kind, const char* why) noexcept {
  std::fprintf(stderr, "%.*s: %s\n", static_cast<int>(kind.size()), kind.data(), why);
  return 2;
}

}  // namespace

int Guarded(std::string_view kind, const std::function<Status()>& body) noexcept {
  try {
    const Status ended = body();
    return ended ? 0 : Complain(kind, ended.error().text.c_str());
  } catch (const std::exception& thrown) {  // no memory, or a library that broke its word
    return Complain(kind, thrown.what());
  } catch (...) {
    return Complain(kind, "ended by an exception of an unknown kind");
  }
}

}  // namespace encke::daemon

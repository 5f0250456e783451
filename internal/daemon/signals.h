#pragma once
// Signals: SIGTERM and SIGINT end a daemon, SIGHUP reloads; nobody is interrupted by one.
//
// Owner    the process: HoldSignals before the first thread, so that all of them inherit it.
// Thread   main's.
// Limit    none.

#include <functional>

namespace encke::daemon {

// From here on the three wait until WaitForStop takes them; SIGPIPE is ignored.
void HoldSignals();
// Returns at the first SIGTERM or SIGINT; calls `reload` at each SIGHUP until then.
void WaitForStop(const std::function<void()>& reload);

}  // namespace encke::daemon

#include "daemon/signals.h"

#include <csignal>

#include <pthread.h>

#include "base/log.h"

namespace encke::daemon {
namespace {

sigset_t HeldSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP})
    sigaddset(&set, signal);
  return set;
}

}  // namespace

void HoldSignals() {
  const sigset_t set = HeldSignals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

void WaitForStop(const std::function<void()>& reload) {
  const sigset_t set = HeldSignals();
  for (;;) {
    int signal = 0;
    if (sigwait(&set, &signal) != 0) continue;
    if (signal != SIGHUP) return log::Info("process.stopping signal={}", signal);
    reload();
  }
}

}  // namespace encke::daemon

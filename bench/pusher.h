#pragma once
// Pusher: room pushes over HTTP keep-alive, open loop: a late answer does not delay the plan.
//
// Owner    main; one thread per caller.
// Thread   Run: its own.
// Limit    one request in flight per caller.

#include <atomic>
#include <cstdint>

#include "histogram.h"
#include "options.h"

namespace encke::bench {

struct PushResult {
  std::int64_t offered = 0, accepted = 0, refused = 0;
  Histogram answer_us;
};

// Pushes number caller, caller + callers, ... until the time is over; number n is planned for
// start_us + n / push_rate.
void RunPusher(const Options& options, int caller, std::int64_t start_us, PushResult* result);

}  // namespace encke::bench

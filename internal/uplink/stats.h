#pragma once
// LinkStats: what the link to logic counts; comet's stats.cc shows it at /metrics.
//
// Owner    LogicLink.
// Thread   any may read and write.
// Limit    none.

#include "base/metrics.h"

namespace encke::uplink {

struct LinkStats {
  Gauge up;
  Gauge waiting;                                       // Connects without an answer
  Counter connects, renewals, disconnects, upstreams;  // handed to a stream
  Counter dropped_renewals, dropped_disconnects;       // events_max
  Counter requests, reports;                           // likewise
  Counter dropped_reports;
  Counter upstreams_in_doubt;   // handed to a stream that broke within LogicQueue::kRepeatMs
  Counter unanswered;           // Connects given up
  Counter requests_unanswered;  // requests given up
  Counter streams, breaks;
  Counter moves_silent, moves_left;  // streams closed because logic was silent, or left
  Counter announces;
  Histogram answer_us;
  Histogram request_us;
};

}  // namespace encke::uplink

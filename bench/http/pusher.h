#pragma once
// Pusher: pushes over HTTP at planned times.  The plan is open: a late answer delays neither later
// pushes nor the clock, which starts at the planned time.
//
// Owner    main.
// Thread   one; Run returns when everything is answered.
// Limit    --pipeline unanswered requests on each of --http_connections connections; a push that
//          finds its connection full waits, and its waiting counts.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "http/caller.h"
#include "http/requests.h"
#include "options.h"
#include "tally/accounts.h"
#include "tally/histogram.h"

namespace encke::bench {

struct PushJob {
  std::string route = "room";  // batch: requests of `batch` pushes, to one room after the other
  std::uint32_t groups = 1;
  std::uint32_t run = 1;
  double rate = 20;         // pushes per second in all; 0 = as fast as answered
  int batch = 1;            // back to back, to one group
  double seconds = 10;      // how long
  std::uint64_t count = 0;  // or how many, when > 0
};

struct PushResult {
  Offers offers;
  Histogram answer_us;           // planned time to the answer
  double seconds = 0;            // first planned time to last answer
  std::int64_t late_us_max = 0;  // planned time to our send(): is this program the bottleneck?
};

class Pusher {
 public:
  explicit Pusher(const Options& options);
  ~Pusher();
  Pusher(const Pusher&) = delete;
  Pusher& operator=(const Pusher&) = delete;

  PushResult Run(const PushJob& job);

 private:
  struct Plan {  // of one caller
    std::uint64_t next = 0;
    std::uint64_t total = 0;
    double interval_us = 0;  // between its ticks
    double offset_us = 0;
  };

  void MakePlans();
  std::int64_t PlannedUs(const Plan& plan) const;
  bool SendDue(std::size_t c);  // true: all is sent
  void SendOne(std::size_t c, std::int64_t planned);
  Stamp StampOf(std::size_t c, std::uint64_t m, std::int64_t planned) const;
  void Settle(std::size_t c, const Sent& sent, bool accepted);
  bool HasRoom(std::size_t c) const;
  std::int64_t NextDueUs() const;
  void Wait(std::int64_t until_us);

  const Options& options_;
  const int epoll_;
  std::vector<std::unique_ptr<Caller>> callers_;
  std::vector<Plan> plans_;
  PushJob job_;
  Layout layout_{1, 1};
  std::int64_t start_us_ = 0;
  std::int64_t end_us_ = 0;
  std::int64_t early_us_ = 0;  // so long before its time a push is made ready
  PushResult* result_ = nullptr;
};

}  // namespace encke::bench

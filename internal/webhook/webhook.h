#pragma once
// Webhook: events as JSON, posted to one URL in batches, in order.  api/upstream.md is for its
// receivers.
//
// One post at a time; what came meanwhile is the next one, so batches grow by themselves when the
// receiver is slow.  What may pass (no answer, 408, 429, 5xx) is tried again with growing pauses,
// until retry_for is over; any other answer but 2xx is taken for a no.
//
// Owner    main of logic.
// Thread   Put: any, never waits; one thread of its own posts.
// Limit    events_max and bytes_max wait; past either the new event is dropped (drop_new).  Every
//          event that is not delivered is counted under its reason.

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/result.h"
#include "base/threads.h"
#include "base/units.h"

namespace encke::webhook {

struct WebhookOptions {
  std::string url;          // empty: off
  std::string secret_file;  // what is in it, but for a line end, signs
  Duration timeout{5'000};  // of one post
  Duration retry_for{60'000};
  Duration backoff_min{100}, backoff_max{10'000};
  std::size_t events_max = 10'000;
  std::size_t bytes_max = 16 * kMega;
  std::size_t batch_max = 100;
};

struct WebhookCounts {
  Counter delivered;                      // events
  Counter full, refused, given_up, left;  // events dropped; left: at the stop
  Counter posts, posts_failed;            // failed: to be tried again, or refused
  Gauge waiting;                          // events, those of the post included
  Histogram post_us;
};

struct Post {
  std::string url;
  std::vector<std::string> headers;  // "Name: value"
  std::string body;
  Duration timeout{0};
};
// status 0: there was no answer, and why.
struct Posted {
  int status = 0;
  std::string why;
};
// `abort` is looked at while it lasts.
using PostPort = std::function<Posted(const Post&, const std::atomic<bool>& abort)>;

class Webhook {
 public:
  // Reads the secret, checks the URL.
  static Result<std::unique_ptr<Webhook>> Make(const WebhookOptions& options);
  Webhook(WebhookOptions options, std::string secret, PostPort post);
  ~Webhook();
  Webhook(const Webhook&) = delete;
  Webhook& operator=(const Webhook&) = delete;

  bool on() const { return !options_.url.empty(); }
  void Put(std::string event);  // one JSON object
  // What waits is tried once more, for so long at most; then the rest is counted as left.
  void Stop(Duration patience);
  const WebhookCounts& counts() const { return counts_; }

 private:
  struct Queue {
    std::deque<std::string> events;
    std::size_t bytes = 0;
  };
  using Batch = std::vector<std::string>;

  void Run();
  Batch Take();
  void Deliver(const Batch& batch);
  Posted PostOnce(const Post& post);
  void Drop(Counter& why, const Batch& batch, const Posted& posted);

  const WebhookOptions options_;
  const std::string secret_;
  const PostPort post_;
  WebhookCounts counts_;
  Guarded<Queue> queue_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> abort_{false};
  Pulse arrived_, pause_, done_;
  std::thread thread_;
};

// "t=<seconds>,v1=<hex of HMAC-SHA256(secret, "<seconds>.<body>")>"
std::string Signature(const std::string& secret, std::int64_t seconds, const std::string& body);

}  // namespace encke::webhook

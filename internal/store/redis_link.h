#pragma once
// RedisLink: the connection under Redis: connect, hand-shake, deadlines, reconnect with back-off.
//
// Owner    Redis, for its thread.
// Thread   the Redis thread; up, load and counts: any.
// Limit    Redis counts what is here (load) and refuses before Take.

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "base/threads.h"
#include "store/redis.h"

struct redisAsyncContext;

namespace encke::store {

class RedisLink {
 public:
  struct Command {
    std::vector<std::string> arguments;  // [0] and [1] are still free when there is a script
    const Redis::Script* script = nullptr;
    bool by_text = false;     // it left as EVAL: NOSCRIPT cannot be the answer
    bool hand_shake = false;  // ours: belongs to this connection only
    std::int64_t posted_us = 0;
    OnReply done;
  };

  RedisLink(const RedisOptions& options, int wake_fd);
  ~RedisLink();
  RedisLink(const RedisLink&) = delete;
  RedisLink& operator=(const RedisLink&) = delete;

  void Take(Command command);
  void OnConnect(std::function<void()> act);
  void Turn();  // one poll() and what follows from it
  void Shut();  // everything that waits fails with kClosed

  bool up() const { return up_.load(std::memory_order_relaxed); }
  std::atomic<std::size_t>& load() { return load_; }
  RedisCounts& counts() { return counts_; }

 private:
  struct Hooks;  // what hiredis calls
  void Connect(std::int64_t now_us);
  void HandShake();
  void Greeted(const char* step, const Result<Reply>& reply, bool last);
  void Drop(std::string why);
  void BackOff();
  void Send(Command command);
  void Answer(const Command& command, Result<Reply> reply);
  void Expire(std::int64_t now_us);
  int PollTimeout(std::int64_t now_us) const;
  void OnCommandReply(void* raw);
  Error WhyLost() const;

  const RedisOptions options_;
  const int wake_fd_;
  ThreadOwner owner_;
  std::atomic<bool> up_{false};
  std::atomic<std::size_t> load_{0};
  RedisCounts counts_;

  redisAsyncContext* context_ = nullptr;  // hiredis frees it: see Hooks::Cleanup
  bool want_read_ = false, want_write_ = false;
  std::string drop_;                       // not empty: this connection must go
  bool timed_out_ = false, shut_ = false;  // why it went
  std::int64_t connect_deadline_us_ = 0, retry_at_us_ = 0;
  Duration back_off_{0};
  std::set<std::string> scripts_;  // hashes this connection's server was taught
  std::deque<Command> waiting_;    // not sent: the link is down
  std::deque<Command> flying_;     // sent, in the order in which replies come
  std::vector<std::function<void()>> on_connect_;
};

}  // namespace encke::store

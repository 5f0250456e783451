#pragma once
// Redis: one server, pipelined, asynchronous.  The only home of hiredis, with its neighbours here.
//
// A thread of its own with poll() over the socket and an eventfd.  Commands posted while others are
// in flight leave together, in the order of the calls.  While the server is away they wait for it
// until their deadline.  hiredis 0.14 has no command timeout in async mode: deadlines are kept
// here, and a server that lets one pass is disconnected (every command in flight then fails; it may
// or may not have been executed).
//
// Owner    main of logic.
// Thread   Call: any.  Callbacks come on the Redis thread and must not block; only kOverloaded and
//          kClosed are answered inline, on the caller's thread.
// Limit    commands_max in flight or waiting: past it Call answers kOverloaded.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/result.h"

namespace encke {
class ConfigReader;
}

namespace encke::store {

struct RedisOptions {
  std::string address = "127.0.0.1:6379";  // host:port; a name is resolved at each connect
  std::string password;
  int database = 0;
  Duration timeout{500};         // per command, and per connect
  Duration reconnect_max{1000};  // back-off from 50 ms up to this
  std::size_t commands_max = 200'000;
};

// Rows redis.* of a daemon's configuration.
void ReadRedis(ConfigReader& in, RedisOptions* out);

// A reply, copied out of hiredis.
struct Reply {
  enum class Kind : std::uint8_t { kNil, kInteger, kText, kList };
  Kind kind = Kind::kNil;
  std::int64_t integer = 0;
  std::string text;
  std::vector<Reply> list;
};

using OnReply = std::function<void(Result<Reply>)>;

struct RedisCounts {
  Counter commands, errors, timeouts, reconnects;
  Histogram latency_us;
};

class Redis {
 public:
  explicit Redis(const RedisOptions& options);
  ~Redis();  // Stop
  Redis(const Redis&) = delete;
  Redis& operator=(const Redis&) = delete;

  // Every waiting callback gets kClosed; when it returns no callback will come any more.
  void Stop();

  void Call(std::vector<std::string> arguments, OnReply done);
  // EVAL when the script is new to this connection, EVALSHA after that, so that scripts keep their
  // place in the order of commands; EVAL once more on NOSCRIPT.  name: for logs.
  struct Script {
    std::string name, text, sha;  // sha: computed by MakeScript
  };
  static Script MakeScript(std::string name, std::string text);
  // `script` must outlive the answer.
  void Eval(const Script& script,
            std::vector<std::string> keys,
            std::vector<std::string> arguments,
            OnReply done);

  bool connected() const;
  // Called on the Redis thread after each (re)connect; at once when it is connected already.
  void OnConnect(std::function<void()> act);
  const RedisCounts& counts() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace encke::store

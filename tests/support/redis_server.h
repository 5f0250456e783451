#pragma once
// RedisServer: a real redis-server on a free port with a private folder, for tests.
//
// Owner    the test; the folder and the process go with it.
// Thread   the test's.
// Limit    waits at most 10 s for the server to answer.

#include <cstdint>
#include <string>
#include <vector>

#include <sys/types.h>

namespace encke::test {

class RedisServer {
 public:
  struct Options {
    bool append_only = false;  // keep data over a kill
    std::string password;
  };
  RedisServer() : RedisServer(Options{}) {}
  explicit RedisServer(const Options& options);  // starts it
  ~RedisServer();
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  void Start();     // again, on the same port; returns when it answers
  void Kill();      // kill -9
  void WipeData();  // while it is not running
  void Freeze();    // SIGSTOP
  void Thaw();      // SIGCONT
  std::uint16_t port() const { return port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  bool Answers() const;

  Options options_;
  std::string folder_;
  std::uint16_t port_ = 0;
  pid_t pid_ = -1;
};

}  // namespace encke::test

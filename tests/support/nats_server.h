#pragma once
// NatsServer: a private nats-server with JetStream on a free loopback port and in an own folder.
//
// Owner    the test; the process is killed by its id.
// Thread   one: the server dies with the thread that started it.
// Limit    none.

#include <string>
#include <vector>

#include <sys/types.h>

namespace encke::test {

class NatsServer {
 public:
  NatsServer();  // started
  ~NatsServer();
  NatsServer(const NatsServer&) = delete;
  NatsServer& operator=(const NatsServer&) = delete;

  void Start();  // again, with the same port and folder
  void Kill();   // kill -9
  void Wipe();   // while it is dead: it comes back without anything
  void Freeze();
  void Thaw();

  std::string url() const { return "nats://127.0.0.1:" + std::to_string(port_); }
  std::vector<std::string> urls() const { return {url()}; }

 private:
  std::string folder_;
  int port_ = 0;
  pid_t pid_ = 0;
};

}  // namespace encke::test

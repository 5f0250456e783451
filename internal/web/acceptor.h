#pragma once
// Acceptor: one listening socket and the thread that empties it.
//
// SO_REUSEPORT is not set: a second server on the same address is an error, not a silent share.
// Without file descriptors left it waits a little between tries, instead of spinning.
//
// Owner    HttpServer::Impl.
// Thread   `accepted` comes on the acceptor's thread.
// Limit    the kernel's backlog; `accepted` decides about the rest.

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "base/metrics.h"
#include "base/result.h"

namespace encke::web {

class Acceptor {
 public:
  // The new socket does not block and belongs to `accepted`.
  using Accepted = std::function<void(int fd, std::string peer_ip)>;

  // address: "127.0.0.1:3111", "[::1]:0", ":3111" (every interface), "localhost:3111".
  static Result<std::unique_ptr<Acceptor>> Listen(const std::string& address);
  ~Acceptor();  // Stop
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  std::uint16_t port() const { return port_; }
  void Start(Counter& errors, Accepted accepted);
  void Stop();

 private:
  Acceptor(int listener, int bell, std::uint16_t port);
  void Run();
  bool AcceptSome();  // false: out of descriptors

  int listener_;
  int bell_;
  std::uint16_t port_;
  Counter* errors_ = nullptr;
  Accepted accepted_;
  std::thread thread_;
};

}  // namespace encke::web

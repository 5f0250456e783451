#pragma once
// rpc::Server and rpc::Channel: gRPC with our settings, once for all daemons.
//
// Server: no port sharing (SO_REUSEPORT off), accepts keepalive pings at the rate our clients send,
// default health service.  Channel: keepalive 1 s / 0.8 s, reconnect back-off 100 ms to 1 s.
//
// Owner    main.
// Thread   any; services run on gRPC threads.
// Limit    message_bytes_max each way.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace grpc {
class Service;
class Channel;
}  // namespace grpc

namespace encke::rpc {

struct ServerOptions {
  std::string address = "127.0.0.1:0";
  int message_bytes_max = 16 * 1024 * 1024;
  // A silent peer is pinged, and cut off when it does not answer: soon, for our own streams.
  Duration ping_after{1000};
  Duration pong_within{800};
};

class Server {
 public:
  static Result<std::unique_ptr<Server>> Start(const ServerOptions& options,
                                               const std::vector<grpc::Service*>& services);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  std::uint16_t port() const;
  void Stop(Duration patience);  // streams should have been closed by their users before

 private:
  struct Impl;
  Server();
  std::unique_ptr<Impl> impl_;
};

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& address);

}  // namespace encke::rpc

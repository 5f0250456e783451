#pragma once
// Listener: one listening socket, and how to accept from it when descriptors run out.
//
// Owner    Connections.
// Thread   the loop's; Open also before it runs.
// Limit    the backlog; who is turned away for want of descriptors is counted by the caller.

#include <cstdint>
#include <string>

#include "base/result.h"
#include "net/connections.h"

namespace encke::net {

class Listener {
 public:
  enum class Got : std::uint8_t {
    kConnection,
    kNothing,     // nobody waits
    kTurnedAway,  // one client was closed, for want of a descriptor
    kFailed,      // this one failed, the next may not
    kExhausted,   // no memory, or no descriptor even for turning away: look again later
  };

  static Result<Listener> Open(const ListenOptions& listen, const ConnectionsOptions& sockets);
  Listener(Listener&& other) noexcept;
  Listener& operator=(Listener&&) = delete;
  ~Listener();

  // The accepted socket does not block and is closed on exec.
  Got Accept(int* fd, Peer* peer);

  int fd() const { return fd_; }
  std::uint16_t port() const { return port_; }
  int tag() const { return tag_; }
  Tls* tls() const { return tls_; }

 private:
  Listener(int fd, int spare_fd, std::uint16_t port, const ListenOptions& listen);
  Got TurnAway();

  int fd_;
  int spare_fd_;  // given up for a moment to accept, and close, one client more
  std::uint16_t port_;
  int tag_;
  Tls* tls_;
};

}  // namespace encke::net

#pragma once
// Clients: a process of its own that holds the clients' ends, so that whoever counts in ours
// (allocations, strace, callgrind) sees the server alone.
//
// Owner    main of encke-gate.
// Thread   one; every call blocks until the other process has obeyed, or answers a descriptor that
//          becomes readable when it has.
// Limit    open files.

#include <cstdint>

namespace encke::gate {

class Clients {
 public:
  // Forks. tcp and ws: the doors; clients alternate between them.
  Clients(std::uint16_t tcp, std::uint16_t ws);
  ~Clients();
  Clients(const Clients&) = delete;
  Clients& operator=(const Clients&) = delete;

  // Begins; done() turns true when every one of them has its answer.
  void Connect(std::uint32_t total);  // so many in all, each with an auth
  void Heartbeat();                   // one from each
  bool done();

 private:
  void Ask(char what, std::uint32_t count);

  int control_ = -1;
  bool waiting_ = false;
};

}  // namespace encke::gate

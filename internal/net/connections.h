#pragma once
// Connections: every client socket of one loop, in a slab of <= 64-byte entries indexed by slot.
//
// Reading: one receive buffer per loop.  OnBytes sees everything unconsumed and answers how much it
// took; the rest is kept (a heap string that exists only then) and shown again with what follows.
// Writing: send() straight from the caller's bytes; only what the kernel does not take is queued,
// as a reference and an offset.  Edge-triggered, all events registered once.
//
// Owner    comet's Shard, one per Loop.  Slots are reused; a (slot, serial) pair is not.
// Thread   the loop's.
// Limit    options below, each with its policy.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "net/loop.h"

namespace encke::net {

class Tls;  // net/tls.h

using Slot = std::uint32_t;

struct ConnectionsOptions {
  std::size_t connections_max = 1'000'000;  // past it: accepted and closed at once, counted
  std::size_t input_bytes_max = 64 * 1024;  // unconsumed bytes; past it reading pauses until Resume
  std::size_t outbox_bytes_max = 64 * 1024;  // past it Send answers kFull and queues nothing
  int sndbuf_bytes = 0;                      // SO_SNDBUF, SO_RCVBUF; 0 = kernel default
  int rcvbuf_bytes = 0;
};

enum class Sent : std::uint8_t {
  kSent,    // the kernel has all of it
  kQueued,  // some or all waits in the outbox
  kFull,    // outbox over its bound: nothing was taken
  kGone,    // no such connection, or it is closing
};

// Why a connection ended; the table with what clients read is comet/close.h.
enum class CloseCause : std::uint8_t { kPeer, kError, kLocal };

struct Peer {
  char ip[46];  // text form
  std::uint16_t port;
};

struct ListenOptions {
  std::string address = "127.0.0.1:0";  // host:port, "[::1]:port"; port 0 = any
  int tag = 0;                          // given to OnOpen: which door
  Tls* tls = nullptr;                   // null = plain
  int backlog = 4096;
};

class Handler {
 public:
  virtual ~Handler() = default;
  virtual void OnOpen(Slot slot, int tag, const Peer& peer) = 0;
  // bytes may be changed in place (WebSocket unmasking) up to what is consumed.  Returns the number
  // of bytes consumed; 0 with unread input means "not now": call Resume when ready.
  virtual std::size_t OnBytes(Slot slot, char* bytes, std::size_t size) = 0;
  // Last call for this slot.  It may be reused from the next turn of the loop on.
  virtual void OnClose(Slot slot, CloseCause cause) = 0;
  // A deadline set by SetDeadline passed.
  virtual void OnDeadline(Slot slot) = 0;
  // The outbox became empty after having been used.
  virtual void OnDrained(Slot slot) = 0;
};

struct NetCounts {  // shard-local, read by scrapes through relaxed atomics
  Counter accepted, refused_limit, accept_errors, bytes_in, bytes_out, sends, sends_partial;
};

class Connections {
 public:
  Connections(Loop& loop, const ConnectionsOptions& options, Handler& handler);
  ~Connections();
  Connections(const Connections&) = delete;
  Connections& operator=(const Connections&) = delete;

  // Opens one SO_REUSEPORT listener on this loop; answers the port.  Before Run or in loop.
  Result<std::uint16_t> Listen(const ListenOptions& options);
  void StopListening();

  Sent Send(Slot slot, const SharedBytes& bytes);
  Sent Send(Slot slot, std::string_view bytes);  // copies only what must wait
  // Closes at the end of this turn, after OnClose(kLocal).  With flush: when the outbox is empty,
  // at the latest after `linger`.
  void Close(Slot slot);
  void CloseAfterFlush(Slot slot, Duration linger = Duration(1000));
  // Shows the unconsumed input to OnBytes again and goes on reading, at the end of this turn.
  void Resume(Slot slot);
  // At most one deadline per slot; setting again replaces it (cheap: the wheel is lazy).  0 = none.
  void SetDeadline(Slot slot, std::int64_t at_ms);

  bool Alive(Slot slot) const;
  std::uint32_t Serial(Slot slot) const;  // differs between two lives of one slot
  std::size_t Queued(Slot slot) const;    // bytes in the outbox
  std::size_t size() const;               // open connections
  std::size_t slots() const;              // slots ever used: upper bound for walks
  NetCounts& counts();
  std::size_t BytesUsed() const;  // heap bytes of slab, inputs and outboxes, for metrics

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace encke::net

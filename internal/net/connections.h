#pragma once
// Connections: every client socket of one loop, in a slab of <= 64-byte entries indexed by slot.
//
// Reading: one receive buffer per loop.  OnBytes sees everything unconsumed and answers how much it
// took; the rest is kept (a heap string that exists only then) and shown again with what follows.
// Writing: send() straight from the caller's bytes; only what the kernel does not take is queued,
// as a reference and an offset.  Edge-triggered, all events registered once.
//
// No handler is called inside Send, Close or any other call below: only from the loop's turn.
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
  std::size_t input_bytes_max =
      std::size_t{64} * 1024;  // unconsumed bytes; at it reading pauses until Resume
  // What would go past it is refused with kFull.  An empty outbox takes one message of any size:
  // else a message larger than the bound could never be sent.
  std::size_t outbox_bytes_max = std::size_t{1024} * 1024;
  int sndbuf_bytes = 0;  // SO_SNDBUF, SO_RCVBUF; 0 = kernel default
  int rcvbuf_bytes = 0;
};

enum class Sent : std::uint8_t {
  kSent,    // the kernel has all of it
  kQueued,  // some or all waits in the outbox
  kFull,    // outbox over its bound: nothing was taken
  kBusy,    // SendFirst: something waits already, nothing was taken
  kGone,    // no such connection, or it is closing, or flushing before it closes
};

// Why a connection ended; the table with what clients read is session/close.h.
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
  // Refuse if any other socket listens there.  Without it a second process shares the port
  // silently; with it the second shard of this one could not open its listener.
  bool claim = false;
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

struct NetCounts {  // published at the end of each turn, read by scrapes
  Counter accepted;
  Counter refused_limit;  // past connections_max: closed at once
  Counter accept_errors;  // no file descriptor or no memory: the client was turned away
  Counter bytes_in, bytes_out;
  Counter sends;          // system calls that sent something or tried
  Counter sends_partial;  // those where the kernel did not take all
  Counter refused_full;   // Send answered kFull
};

class Connections {
 public:
  Connections(Loop& loop, const ConnectionsOptions& options, Handler& handler);
  ~Connections();  // closes everything at once, without OnClose
  Connections(const Connections&) = delete;
  Connections& operator=(const Connections&) = delete;

  // Opens one SO_REUSEPORT listener on this loop; answers the port.  Before Run or in loop.
  Result<std::uint16_t> Listen(const ListenOptions& options);
  // Closes the listeners; connections stay.  What waits in their backlogs is reset by the kernel.
  void StopListening();

  Sent Send(Slot slot, const SharedBytes& bytes);
  Sent Send(Slot slot, std::string_view bytes);         // copies only what must wait
  Sent SendFirst(Slot slot, const SharedBytes& bytes);  // only if nothing waits before it
  // Closes at the end of this turn, after OnClose(kLocal); of very many in some turn soon.
  void Close(Slot slot);
  // Takes nothing more; when the outbox is empty tells the peer that this was all, waits until it
  // closes too, so that it reads the last bytes, and closes: at the latest after `linger`.
  // Input is thrown away meanwhile, and the deadline of the slot is the linger.
  void CloseAfterFlush(Slot slot, Duration linger = Duration(1000));
  // Shows the unconsumed input to OnBytes again and goes on reading, at the end of this turn.
  void Resume(Slot slot);
  // At most one deadline per slot; setting again replaces it (cheap: the wheel is lazy).  0 = none.
  void SetDeadline(Slot slot, std::int64_t at_ms);

  bool Alive(Slot slot) const;            // open, and nobody has asked to close it
  std::uint32_t Serial(Slot slot) const;  // differs between two lives of one slot
  std::size_t Queued(Slot slot) const;    // bytes in the outbox
  std::size_t size() const;               // open connections, with those that are closing
  std::size_t slots() const;              // slots ever used: upper bound for walks
  NetCounts& counts();                    // any thread
  // Heap bytes of slab, wheel, unconsumed input and outboxes (shared bytes counted for each who
  // waits for them); without what OpenSSL holds.
  std::size_t BytesUsed() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace encke::net

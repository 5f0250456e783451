#pragma once
// Connections::Impl: one entry of the slab, and the class behind the door of connections.h.
//
//   idle: an fd, a serial, flags and three null pointers; heap only while something waits
//
// connections.cc opens, closes and takes turns; traffic.cc reads and writes.
//
// Owner    Connections.
// Thread   the loop's.
// Limit    64 bytes per entry; kPiecesPerSend pieces of an outbox with one system call.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <sys/socket.h>
#include <sys/types.h>

#include "base/log.h"
#include "net/connections.h"
#include "net/listener.h"
#include "net/outbox.h"
#include "net/tls.h"
#include "net/wheel.h"

namespace encke::net {

constexpr std::size_t kReceiveBytes =
    std::size_t{64} * 1024;  // of one recv, into the loop's one buffer
constexpr Slot kNoSlot = 0xffffffff;

struct Connection {
  static constexpr std::size_t kPiecesPerSend = 32;
  enum Flag : std::uint16_t {
    kReadable = 1,   // the kernel may have more: no EAGAIN since the last edge
    kPaused = 2,     // input_bytes_max reached: wait for Resume
    kEnding = 4,     // the peer has said that it sends no more: read up to that
    kReady = 8,      // in the ready list
    kShow = 16,      // Resume was called: show the input once more
    kFlushing = 32,  // CloseAfterFlush
    kShut = 64,      // our half is shut down: wait for the peer's
    kEnded = 128,    // the peer's half is over, ours not yet
    kClosing = 256,  // in the closing list
  };

  int fd = -1;  // -1 = free
  std::uint32_t serial = 0;
  std::unique_ptr<TlsStream> tls;
  std::unique_ptr<std::string> input;  // not consumed yet
  std::unique_ptr<Outbox> outbox;      // not sent yet; never empty
  Slot next_free = 0;
  std::uint16_t flags = 0;
  CloseCause cause = CloseCause::kLocal;

  bool Has(unsigned any) const { return (flags & any) != 0; }
  void Set(unsigned these) { flags = static_cast<std::uint16_t>(flags | these); }
  void Drop(unsigned these) { flags = static_cast<std::uint16_t>(flags & ~these); }

  // As recv and send: bytes, 0 at the end, -1 with errno.
  ssize_t Receive(char* out, std::size_t size) const {
    return tls ? tls->Receive(out, size) : ::recv(fd, out, size, MSG_DONTWAIT);
  }
  ssize_t Send(std::string_view bytes) const {
    if (tls) return tls->Send(bytes.data(), bytes.size());
    return ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  }
  // *offered: how many bytes the kernel could have taken.
  ssize_t SendOutbox(std::size_t* offered);
};
static_assert(sizeof(Connection) <= 64);

// What the loop's thread counts between two publications.
struct Tally {
  std::uint64_t bytes_in = 0, bytes_out = 0, sends = 0, sends_partial = 0, refused_full = 0;
};

class Connections::Impl final : public Loop::Watcher {
 public:
  Impl(Loop& loop, const ConnectionsOptions& options, Handler& handler)
      : loop_(loop), options_(options), handler_(handler), wheel_(MonotonicMs()) {}
  ~Impl() override;

  Result<std::uint16_t> Listen(const ListenOptions& options);
  void StopListening();
  template <bool kFirst, class Keep>
  Sent Send(Slot slot, std::string_view bytes, Keep&& keep);
  void Close(Slot slot);
  void CloseAfterFlush(Slot slot, Duration linger);
  void Resume(Slot slot);
  void SetDeadline(Slot slot, std::int64_t at_ms);

  void OnReady(std::uint32_t events, std::uint64_t data) override;
  void OnTurnEnd() override;
  std::int64_t WakeMs() const override;

  bool Alive(Slot slot) const {
    return Open(slot) && !slab_[slot].Has(Connection::kClosing | Connection::kFlushing);
  }
  bool Open(Slot slot) const { return slot < slab_.size() && slab_[slot].fd >= 0; }
  const Connection* Find(Slot slot) const { return slot < slab_.size() ? &slab_[slot] : nullptr; }
  std::size_t size() const { return open_; }
  std::size_t slots() const { return slab_.size(); }
  NetCounts& counts() { return counts_; }
  std::size_t BytesUsed() const {
    return slab_.size() * sizeof(Connection) + wheel_.BytesUsed() + kReceiveBytes + input_bytes_ +
           outbox_bytes_;
  }

 private:
  void AcceptSome(Listener& listener);
  void WatchAgain();
  void Adopt(int fd, const Listener& listener, const Peer& peer);
  Slot TakeSlot();
  bool MayRead(const Connection& c) const {
    return c.Has(Connection::kReadable) && !c.Has(Connection::kPaused | Connection::kClosing);
  }
  void ReadSome(Slot slot, Connection& c);
  void Take(Slot slot, Connection& c, std::size_t size);
  void ShowInput(Slot slot, Connection& c);
  void SetInputBytes(Connection& c, std::size_t before);
  void DropInput(Connection& c);
  void OnEnd(Slot slot, Connection& c);
  void Enqueue(Connection& c, SharedBytes bytes, std::size_t offset);
  void Flush(Slot slot, Connection& c);
  void ShutDown(Slot slot, Connection& c);
  void PutReady(Slot slot, Connection& c);
  void Doom(Slot slot, Connection& c, CloseCause cause);
  void RunReady();
  void Release(Slot slot);

  Loop& loop_;
  const ConnectionsOptions options_;
  Handler& handler_;
  std::deque<Listener> listeners_;
  std::int64_t exhausted_until_ms_ = 0;  // != 0: no listener is watched
  std::deque<Connection> slab_;          // grows without moving
  Slot free_ = kNoSlot;
  std::size_t open_ = 0;
  Wheel wheel_;
  std::vector<Slot> ready_, ready_now_;  // to be read again, or shown again, at the end of a turn
  std::deque<Slot> closing_;
  std::size_t input_bytes_ = 0, outbox_bytes_ = 0;
  Tally tally_;
  NetCounts counts_;
  log::RateLimit accept_lines_;
  std::unique_ptr<char[]> buffer_ = std::make_unique<char[]>(kReceiveBytes);
};

}  // namespace encke::net

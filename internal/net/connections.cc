#include "net/connections.h"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <utility>

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/connections_impl.h"

namespace encke::net {
namespace {

constexpr int kAcceptsPerTurn = 64;  // of one listener
// Of one turn: when all leave or expire at once, whoever stays is served in between.
constexpr std::size_t kExpiriesPerTurn = 128;
constexpr std::size_t kClosesPerTurn = 128;
constexpr std::int64_t kExhaustedMs = 100;  // without descriptors or memory: look again then
constexpr std::uint64_t kListenerBit = std::uint64_t{1} << 47;  // of epoll's data; else a slot
constexpr std::uint32_t kEvents = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

using C = Connection;

void Publish(std::uint64_t* from, Counter* to) {
  if (*from != 0) to->Add(std::exchange(*from, 0));
}

}  // namespace

Connections::Impl::~Impl() {
  loop_.Forget(this);
  for (Slot slot = 0; slot < slab_.size(); ++slot) {
    if (slab_[slot].fd >= 0) ::close(slab_[slot].fd);
  }
}

// ---- listeners -----------------------------------------------------------------------------

Result<std::uint16_t> Connections::Impl::Listen(const ListenOptions& options) {
  auto listener = Listener::Open(options, options_);
  if (!listener) return listener.error();
  const std::uint64_t data = kListenerBit | listeners_.size();
  if (Status s = loop_.Watch(listener->fd(), EPOLLIN, this, data); !s) return s.error();
  listeners_.push_back(std::move(*listener));
  return listeners_.back().port();
}

void Connections::Impl::StopListening() {
  listeners_.clear();  // events at hand for them find no listener
  exhausted_until_ms_ = 0;
}

void Connections::Impl::AcceptSome(Listener& listener) {
  for (int accepts = 0; accepts < kAcceptsPerTurn; ++accepts) {
    int fd = -1;
    Peer peer{};
    switch (listener.Accept(&fd, &peer)) {
      case Listener::Got::kConnection:
        Adopt(fd, listener, peer);
        if (listeners_.empty()) return;  // the handler has stopped listening
        break;
      case Listener::Got::kNothing:
        return;
      case Listener::Got::kFailed:
        counts_.accept_errors.Add();
        break;
      case Listener::Got::kTurnedAway:
        counts_.accept_errors.Add();
        log::WarnSome(accept_lines_, "net.turned_away port={} why=no_descriptors", listener.port());
        break;
      case Listener::Got::kExhausted:
        counts_.accept_errors.Add();
        log::WarnSome(accept_lines_, "net.accept_exhausted port={} pause_ms={}", listener.port(),
                      kExhaustedMs);
        for (const Listener& each : listeners_)
          loop_.Unwatch(each.fd());
        exhausted_until_ms_ = loop_.now_ms() + kExhaustedMs;
        return;
    }
  }
}

void Connections::Impl::WatchAgain() {
  exhausted_until_ms_ = 0;
  for (std::size_t i = 0; i < listeners_.size(); ++i) {
    loop_.Unwatch(listeners_[i].fd());  // one that was opened meanwhile is watched already
    const Status watched = loop_.Watch(listeners_[i].fd(), EPOLLIN, this, kListenerBit | i);
    if (!watched) exhausted_until_ms_ = loop_.now_ms() + kExhaustedMs;
  }
}

void Connections::Impl::Adopt(int fd, const Listener& listener, const Peer& peer) {
  if (open_ >= options_.connections_max) {
    counts_.refused_limit.Add();
    ::close(fd);
    return;
  }
  std::unique_ptr<TlsStream> tls;
  if (listener.tls() != nullptr) tls = TlsStream::Accept(listener.tls()->Context(), fd);
  const Slot slot = TakeSlot();
  Connection& c = slab_[slot];
  const bool refused = listener.tls() != nullptr && tls == nullptr;
  if (refused || !loop_.Watch(fd, kEvents, this, slot)) {
    counts_.accept_errors.Add();
    ::close(fd);
    c.next_free = std::exchange(free_, slot);
    return;
  }
  c.fd = fd;
  c.flags = 0;
  c.tls = std::move(tls);
  ++open_;
  counts_.accepted.Add();
  handler_.OnOpen(slot, listener.tag(), peer);
}

Slot Connections::Impl::TakeSlot() {
  if (free_ != kNoSlot) return std::exchange(free_, slab_[free_].next_free);
  slab_.emplace_back();
  return static_cast<Slot>(slab_.size() - 1);
}

// ---- closing -------------------------------------------------------------------------------

void Connections::Impl::Close(Slot slot) {
  loop_.CheckOwner();
  if (Open(slot)) Doom(slot, slab_[slot], CloseCause::kLocal);
}

void Connections::Impl::CloseAfterFlush(Slot slot, Duration linger) {
  loop_.CheckOwner();
  if (!Alive(slot)) return;
  Connection& c = slab_[slot];
  if (linger.count() <= 0) return Doom(slot, c, CloseCause::kLocal);
  DropInput(c);
  c.Drop(C::kPaused);
  c.Set(C::kFlushing);
  wheel_.Set(slot, loop_.now_ms() + linger.count());
  if (c.outbox == nullptr) ShutDown(slot, c);
  if (MayRead(c)) PutReady(slot, c);  // what it had paused is read and thrown away
}

void Connections::Impl::Doom(Slot slot, Connection& c, CloseCause cause) {
  if (c.Has(C::kClosing)) return;
  c.Set(C::kClosing);
  c.cause = c.Has(C::kFlushing) ? CloseCause::kLocal : cause;
  closing_.push_back(slot);
}

void Connections::Impl::Release(Slot slot) {
  Connection& c = slab_[slot];
  DropInput(c);
  if (c.outbox != nullptr) outbox_bytes_ -= c.outbox->bytes();
  c.outbox.reset();
  c.tls.reset();
  ::close(std::exchange(c.fd, -1));  // epoll forgets it by itself
  wheel_.Clear(slot);
  ++c.serial;
  c.flags = 0;
  c.next_free = std::exchange(free_, slot);
  --open_;
}

// ---- turns of the loop ---------------------------------------------------------------------

void Connections::Impl::Resume(Slot slot) {
  loop_.CheckOwner();
  if (!Alive(slot)) return;
  slab_[slot].Set(C::kShow);
  PutReady(slot, slab_[slot]);
}

void Connections::Impl::SetDeadline(Slot slot, std::int64_t at_ms) {
  loop_.CheckOwner();
  if (!Alive(slot)) return;
  if (at_ms == 0) return wheel_.Clear(slot);
  wheel_.Set(slot, at_ms);
}

void Connections::Impl::PutReady(Slot slot, Connection& c) {
  if (c.Has(C::kReady | C::kClosing)) return;
  c.Set(C::kReady);
  ready_.push_back(slot);
}

void Connections::Impl::OnReady(std::uint32_t events, std::uint64_t data) {
  if ((data & kListenerBit) != 0) {
    const std::size_t index = data & ~kListenerBit;
    if (index < listeners_.size()) AcceptSome(listeners_[index]);
    return;
  }
  const auto slot = static_cast<Slot>(data);
  Connection& c = slab_[slot];
  if (c.fd < 0 || c.Has(C::kClosing)) return;
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) c.Set(C::kReadable);
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) c.Set(C::kEnding);
  if (c.tls != nullptr) c.Set(C::kReadable);  // its reading may have waited for room to write
  if ((events & (EPOLLHUP | EPOLLERR)) != 0 && c.Has(C::kPaused)) {
    return Doom(slot, c, CloseCause::kPeer);  // both ways are shut: nobody waits for an answer
  }
  ReadSome(slot, c);
  // The handshake of TLS is done by reading: then what waited for it can go.
  if ((events & EPOLLOUT) != 0 || c.tls != nullptr) Flush(slot, c);
}

void Connections::Impl::RunReady() {
  ready_now_.swap(ready_);  // who asks again from here on waits for the next turn
  for (const Slot slot : ready_now_) {
    Connection& c = slab_[slot];
    c.Drop(C::kReady);
    if (c.fd < 0 || c.Has(C::kClosing)) continue;
    const bool show = c.Has(C::kShow);
    c.Drop(C::kShow);
    if (show) ShowInput(slot, c);
    ReadSome(slot, c);
    Flush(slot, c);
  }
  ready_now_.clear();
}

void Connections::Impl::OnTurnEnd() {
  RunReady();
  wheel_.Advance(loop_.now_ms(), kExpiriesPerTurn, [this](Slot slot) {
    Connection& c = slab_[slot];
    if (c.fd < 0 || c.Has(C::kClosing)) return;
    if (c.Has(C::kFlushing)) return Doom(slot, c, CloseCause::kLocal);  // the linger is over
    handler_.OnDeadline(slot);
  });
  for (std::size_t i = 0; i < kClosesPerTurn && !closing_.empty(); ++i) {
    const Slot slot = closing_.front();
    closing_.pop_front();
    handler_.OnClose(slot, slab_[slot].cause);
    Release(slot);
  }
  if (exhausted_until_ms_ != 0 && loop_.now_ms() >= exhausted_until_ms_) {
    WatchAgain();
  }
  Publish(&tally_.bytes_in, &counts_.bytes_in);
  Publish(&tally_.bytes_out, &counts_.bytes_out);
  Publish(&tally_.sends, &counts_.sends);
  Publish(&tally_.sends_partial, &counts_.sends_partial);
  Publish(&tally_.refused_full, &counts_.refused_full);
}

std::int64_t Connections::Impl::WakeMs() const {
  if (!ready_.empty() || !closing_.empty()) return 0;
  const std::int64_t deadline_ms = wheel_.NextMs();
  std::int64_t wake_ms = deadline_ms < 0 ? Loop::kNever : deadline_ms;
  if (exhausted_until_ms_ != 0) wake_ms = std::min(wake_ms, exhausted_until_ms_);
  return wake_ms;
}

// ---- the door ------------------------------------------------------------------------------

Connections::Connections(Loop& loop, const ConnectionsOptions& options, Handler& handler)
    : impl_(std::make_unique<Impl>(loop, options, handler)) {}
Connections::~Connections() = default;

Result<std::uint16_t> Connections::Listen(const ListenOptions& o) { return impl_->Listen(o); }
void Connections::StopListening() { impl_->StopListening(); }

void Connections::Close(Slot slot) { impl_->Close(slot); }
void Connections::CloseAfterFlush(Slot slot, Duration linger) {
  impl_->CloseAfterFlush(slot, linger);
}
void Connections::Resume(Slot slot) { impl_->Resume(slot); }
void Connections::SetDeadline(Slot slot, std::int64_t at_ms) { impl_->SetDeadline(slot, at_ms); }
bool Connections::Alive(Slot slot) const { return impl_->Alive(slot); }

std::uint32_t Connections::Serial(Slot slot) const {
  const Connection* c = impl_->Find(slot);
  return c == nullptr ? 0 : c->serial;
}
std::size_t Connections::Queued(Slot slot) const {
  const Connection* c = impl_->Find(slot);
  return c == nullptr || c->outbox == nullptr ? 0 : c->outbox->bytes();
}
std::size_t Connections::size() const { return impl_->size(); }
std::size_t Connections::slots() const { return impl_->slots(); }
NetCounts& Connections::counts() { return impl_->counts(); }
std::size_t Connections::BytesUsed() const { return impl_->BytesUsed(); }

}  // namespace encke::net

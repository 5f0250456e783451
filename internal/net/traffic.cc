// Traffic: how Connections::Impl reads and writes.

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <utility>

#include <sys/uio.h>

#include "net/connections_impl.h"

namespace encke::net {
namespace {

constexpr int kReceivesPerTurn = 4;       // of one connection, then the others come
constexpr std::size_t kInputKeep = 4096;  // an input's capacity that is not worth shrinking

using C = Connection;

CloseCause CauseOf(int error) {
  return error == ECONNRESET || error == EPIPE ? CloseCause::kPeer : CloseCause::kError;
}

}  // namespace

ssize_t Connection::SendOutbox(std::size_t* offered) {
  std::array<iovec, kPiecesPerSend> pieces;  // NOLINT: filled below as far as it is used
  std::size_t count = 0;
  *offered = 0;
  outbox->Front(tls ? 1 : pieces.size(), [&](std::string_view piece) {
    pieces[count++] = iovec{const_cast<char*>(piece.data()), piece.size()};
    *offered += piece.size();
  });
  if (tls) return tls->Send(static_cast<const char*>(pieces[0].iov_base), pieces[0].iov_len);
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = count;
  return ::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void Connections::Impl::ReadSome(Slot slot, Connection& c) {
  for (int receives = 0; receives < kReceivesPerTurn && MayRead(c); ++receives) {
    const std::size_t held = c.input ? c.input->size() : 0;
    const std::size_t room = std::min(kReceiveBytes, options_.input_bytes_max - held);
    const ssize_t got = c.Receive(buffer_.get(), room);
    if (got == 0) return OnEnd(slot, c);
    if (got < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) return Doom(slot, c, CauseOf(errno));
      c.Drop(C::kReadable);
      break;
    }
    const auto size = static_cast<std::size_t>(got);
    tally_.bytes_in += size;
    // A short read has emptied the socket, unless the end of the stream waits behind it.
    if (size < room && !c.tls && !c.Has(C::kEnding)) c.Drop(C::kReadable);
    if (!c.Has(C::kFlushing)) Take(slot, c, size);
  }
  if (MayRead(c)) PutReady(slot, c);
}

// `size` new bytes are in the buffer.  Usually nothing waits and all is consumed: no copy.
void Connections::Impl::Take(Slot slot, Connection& c, std::size_t size) {
  if (c.input != nullptr) {
    const std::size_t before = c.input->size();
    c.input->append(buffer_.get(), size);
    SetInputBytes(c, before);
    return ShowInput(slot, c);
  }
  const std::size_t consumed = handler_.OnBytes(slot, buffer_.get(), size);
  assert(consumed <= size);
  if (consumed == size || c.Has(C::kClosing | C::kFlushing)) return;
  c.input = std::make_unique<std::string>(buffer_.get() + consumed, size - consumed);
  SetInputBytes(c, 0);
}

void Connections::Impl::ShowInput(Slot slot, Connection& c) {
  if (c.input == nullptr) return;
  // The handler may ask for CloseAfterFlush, which drops the input: hold it meanwhile.
  std::unique_ptr<std::string> input = std::move(c.input);
  const std::size_t before = input->size();
  const std::size_t consumed = handler_.OnBytes(slot, input->data(), before);
  assert(consumed <= before);
  if (consumed < before && !c.Has(C::kClosing | C::kFlushing)) {
    input->erase(0, consumed);
    if (input->capacity() > kInputKeep && input->size() < input->capacity() / 4) {
      input->shrink_to_fit();
    }
    c.input = std::move(input);
  }
  SetInputBytes(c, before);
}

void Connections::Impl::SetInputBytes(Connection& c, std::size_t before) {
  const std::size_t now = c.input ? c.input->size() : 0;
  input_bytes_ += now - before;
  if (now >= options_.input_bytes_max) {
    c.Set(C::kPaused);
  } else {
    c.Drop(C::kPaused);
  }
}

void Connections::Impl::DropInput(Connection& c) {
  if (c.input == nullptr) return;
  const std::size_t before = c.input->size();
  c.input.reset();
  SetInputBytes(c, before);
}

void Connections::Impl::OnEnd(Slot slot, Connection& c) {
  c.Drop(C::kReadable);
  c.Set(C::kEnded);
  if (!c.Has(C::kFlushing)) return Doom(slot, c, CloseCause::kPeer);
  if (c.outbox == nullptr) Doom(slot, c, CloseCause::kLocal);
}

// ---- writing -------------------------------------------------------------------------------

// keep() makes the bytes shared, and is called only if some must wait.
template <bool kFirst, class Keep>
Sent Connections::Impl::Send(Slot slot, std::string_view bytes, Keep&& keep) {
  loop_.CheckOwner();
  if (!Alive(slot)) return Sent::kGone;
  if (bytes.empty()) return Sent::kSent;
  Connection& c = slab_[slot];
  if (c.outbox != nullptr) {
    if (kFirst) return Sent::kBusy;
    if (c.outbox->bytes() + bytes.size() > options_.outbox_bytes_max) {
      ++tally_.refused_full;
      return Sent::kFull;
    }
    Enqueue(c, keep(), 0);
    return Sent::kQueued;
  }
  ++tally_.sends;
  const ssize_t sent = c.Send(bytes);
  if (sent < 0 && errno != EAGAIN) {
    Doom(slot, c, CauseOf(errno));
    return Sent::kGone;
  }
  const std::size_t gone = sent < 0 ? 0 : static_cast<std::size_t>(sent);
  tally_.bytes_out += gone;
  if (gone == bytes.size()) return Sent::kSent;
  ++tally_.sends_partial;
  Enqueue(c, keep(), gone);
  // TLS may stop after one record though the socket has room: then no edge would come.
  if (c.tls != nullptr) PutReady(slot, c);
  return Sent::kQueued;
}

void Connections::Impl::Enqueue(Connection& c, SharedBytes bytes, std::size_t offset) {
  if (c.outbox == nullptr) c.outbox = std::make_unique<Outbox>();
  const std::size_t before = c.outbox->bytes();
  c.outbox->Add(std::move(bytes), offset);
  outbox_bytes_ += c.outbox->bytes() - before;
}

void Connections::Impl::Flush(Slot slot, Connection& c) {
  if (c.outbox == nullptr || c.Has(C::kClosing)) return;
  while (!c.outbox->empty()) {
    std::size_t offered = 0;
    ++tally_.sends;
    const ssize_t sent = c.SendOutbox(&offered);
    if (sent < 0) {
      if (errno == EINTR) continue;
      ++tally_.sends_partial;
      if (errno != EAGAIN) Doom(slot, c, CauseOf(errno));
      return;
    }
    const auto gone = static_cast<std::size_t>(sent);
    tally_.bytes_out += gone;
    outbox_bytes_ -= gone;
    c.outbox->Drop(gone);
    if (gone < offered) ++tally_.sends_partial;
  }
  c.outbox.reset();
  if (c.Has(C::kFlushing)) return ShutDown(slot, c);
  handler_.OnDrained(slot);
}

void Connections::Impl::ShutDown(Slot slot, Connection& c) {
  if (c.Has(C::kEnded)) return Doom(slot, c, CloseCause::kLocal);
  if (c.tls != nullptr) c.tls->SayGoodbye();
  ::shutdown(c.fd, SHUT_WR);
  c.Set(C::kShut);
}

Sent Connections::Send(Slot slot, const SharedBytes& bytes) {
  return impl_->Send<false>(slot, *bytes, [&] { return bytes; });
}
Sent Connections::Send(Slot slot, std::string_view bytes) {
  return impl_->Send<false>(slot, bytes, [&] { return Share(std::string(bytes)); });
}
Sent Connections::SendFirst(Slot slot, const SharedBytes& bytes) {
  return impl_->Send<true>(slot, *bytes, [&] { return bytes; });
}

}  // namespace encke::net

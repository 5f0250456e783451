#pragma once
// Inlet: a connection of its own to NATS for who reads a partition, driven by the thread that
// waits.  On the connection of Nats one thread reads and wakes another one; here a push is taken
// by the thread that read it, so a lone one crosses one thread less and a busy partition is read
// by the handful.
//
// Owner    PartitionReader, one for each consumer it makes.  Ends for good when it breaks.
// Thread   that of the reader.
// Limit    what was asked for; kBusyMessages in kWindow make it look only every kBusyGap.  A reader
//          that takes nothing for the server's write deadline (10 s) while more is on the way than
//          the socket holds is cut off, and begins anew.

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <nats/nats.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "bus/kv.h"

namespace encke::bus {

class Inlet {
 public:
  static constexpr Duration kBusyGap{4};
  static constexpr Duration kWindow{16};
  static constexpr int kBusyMessages = 16;
  static constexpr int kMuchBytes = 16 * 1024;

  // bell: an eventfd; it ends a wait.  Waits for the server up to connect_timeout.
  static Result<std::unique_ptr<Inlet>> Open(const NatsOptions& options, int bell);
  ~Inlet();
  Inlet(const Inlet&) = delete;
  Inlet& operator=(const Inlet&) = delete;

  // Asks `subject`; answers come out of Next.
  natsStatus Ask(const std::string& subject, const std::string& what);
  // NATS_TIMEOUT: none within `wait`, or the bell rang.  Anything else but NATS_OK: it is broken.
  natsStatus Next(natsMsg** out, Duration wait);

 private:
  explicit Inlet(int bell) : bell_(bell) {}
  Status Connect(const NatsOptions& options);
  bool Turn(Duration wait);
  void Rest();
  void Count(const natsMsg* msg);

  const int bell_;
  const std::string inbox_ = NewInbox();
  natsConnection* connection_ = nullptr;
  SubHandle inbound_;
  // What cnats wants to be called for.
  int socket_ = -1;
  bool reading_ = false;
  bool writing_ = false;

  std::int64_t read_us_ = 0;  // when the socket was read last
  int bytes_ = 0;             // of messages since then
  std::int64_t window_us_ = 0;
  int in_window_ = 0;
  bool busy_ = false;
};

inline Result<std::unique_ptr<Inlet>> Inlet::Open(const NatsOptions& options, int bell) {
  std::unique_ptr<Inlet> inlet(new Inlet(bell));
  if (auto connected = inlet->Connect(options); !connected) return connected.error();
  return inlet;
}

// cnats would ping the server first and wait half a second for an answer that nobody reads.
inline Inlet::~Inlet() {
  if (connection_ != nullptr && socket_ >= 0) {
    ::shutdown(socket_, SHUT_RDWR);
    natsConnection_ProcessReadEvent(connection_);
  }
  inbound_.reset();
  natsConnection_Destroy(connection_);
}

// With SendAsap and without pings everything of cnats happens on our thread: there is no flusher,
// and no timer.  That the server has gone shows in its heartbeats.
inline Status Inlet::Connect(const NatsOptions& options) {
  auto settings = BasicSettings(options);
  if (!settings) return settings.error();
  natsOptions* const raw = settings->get();
  natsStatus s = natsOptions_SetAllowReconnect(raw, false);
  if (s == NATS_OK) s = natsOptions_SetPingInterval(raw, 0);
  if (s != NATS_OK) return NatsError(s, "nats options");
  s = natsOptions_SetEventLoop(
      raw, this,
      [](void** us, void* loop, natsConnection*, natsSock socket) {
        *us = loop;
        static_cast<Inlet*>(loop)->socket_ = socket;
        static_cast<Inlet*>(loop)->reading_ = true;
        return NATS_OK;
      },
      [](void* us, bool add) { return static_cast<Inlet*>(us)->reading_ = add, NATS_OK; },
      [](void* us, bool add) { return static_cast<Inlet*>(us)->writing_ = add, NATS_OK; },
      [](void* us) { return static_cast<Inlet*>(us)->socket_ = -1, NATS_OK; });
  if (s == NATS_OK) s = natsConnection_Connect(&connection_, raw);
  if (s != NATS_OK) return NatsError(s, "connecting to read");
  natsSubscription* inbound = nullptr;
  s = natsConnection_SubscribeSync(&inbound, connection_, inbox_.c_str());
  if (s != NATS_OK) return NatsError(s, "subscribing to an inbox");
  inbound_.reset(inbound);
  natsSubscription_SetPendingLimits(inbound, -1, -1);  // bounded by what we ask for
  return Ok{};
}

inline natsStatus Inlet::Ask(const std::string& subject, const std::string& what) {
  return natsConnection_PublishRequestString(connection_, subject.c_str(), inbox_.c_str(),
                                             what.c_str());
}

inline natsStatus Inlet::Next(natsMsg** out, Duration wait) {
  const std::int64_t until_ms = MonotonicMs() + wait.count();
  for (;;) {
    const natsStatus s = natsSubscription_NextMsg(out, inbound_.get(), 0);
    if (s == NATS_OK) Count(*out);
    if (s != NATS_TIMEOUT) return s;
    const Duration left(until_ms - MonotonicMs());
    if (left.count() < 0 || !Turn(left)) return NATS_TIMEOUT;
  }
}

inline void Inlet::Count(const natsMsg* msg) {
  bytes_ += natsMsg_GetDataLength(msg);
  ++in_window_;
  if (read_us_ - window_us_ < kWindow.count() * 1000) return;
  busy_ = in_window_ >= kBusyMessages;
  in_window_ = 0;
  window_us_ = read_us_;
}

// While pushes come all the time a wake-up for each is what costs most; not when a read brought
// much, or only a part of one: there is more behind it.
inline void Inlet::Rest() {
  const int bytes = std::exchange(bytes_, 0);
  if (!busy_ || bytes == 0 || bytes >= kMuchBytes) return;
  const std::int64_t left_us = read_us_ + kBusyGap.count() * 1000 - MonotonicUs();
  pollfd bell{bell_, POLLIN, 0};
  if (left_us > 0) ::poll(&bell, 1, static_cast<int>((left_us + 999) / 1000));
}

// False: nothing came.
inline bool Inlet::Turn(Duration wait) {
  if (writing_) natsConnection_ProcessWriteEvent(connection_);
  Rest();
  std::array<pollfd, 2> fds{{{bell_, POLLIN, 0}, {socket_, POLLIN, 0}}};
  if (!reading_) fds[1].events = 0;
  if (writing_) fds[1].events |= POLLOUT;
  if (::poll(fds.data(), fds.size(), static_cast<int>(wait.count())) <= 0) return false;
  if (fds[0].revents != 0) return false;
  read_us_ = MonotonicUs();
  if ((fds[1].revents & POLLOUT) != 0) natsConnection_ProcessWriteEvent(connection_);
  if ((fds[1].revents & ~POLLOUT) != 0) natsConnection_ProcessReadEvent(connection_);
  return true;
}

}  // namespace encke::bus

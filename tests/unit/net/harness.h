#pragma once
// Harness: a handler that writes down what happens, a plain client socket, and a loop driven by
// the test itself: no thread, no sleep, a bounded number of turns.
//
// Owner    the test.
// Thread   the test's.
// Limit    kTurnsMax turns per Until.

#include <cassert>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/connections.h"
#include "net/loop.h"

namespace encke::net {

inline constexpr int kTurnsMax = 5000;

class Client {
 public:
  explicit Client(std::uint16_t port, int rcvbuf_bytes = 0)
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    assert(fd_ >= 0);
    if (rcvbuf_bytes > 0) {
      ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &rcvbuf_bytes, sizeof(rcvbuf_bytes));
    }
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof(to)) == 0;
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() { Close(); }

  bool connected() const { return connected_; }
  int fd() const { return fd_; }
  // How much the kernel took.
  std::size_t Send(std::string_view bytes) const {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent < 0 ? 0 : static_cast<std::size_t>(sent);
  }
  // Takes what has arrived and adds it to `seen`.
  void Drain() {
    char buffer[65536];  // NOLINT: filled by recv
    while (!ended_ && !broken_) {
      const ssize_t got = ::recv(fd_, buffer, sizeof(buffer), MSG_DONTWAIT);
      if (got > 0) seen.append(buffer, static_cast<std::size_t>(got));
      if (got == 0) ended_ = true;
      if (got < 0 && errno == EAGAIN) return;
      if (got < 0) broken_ = true;
    }
  }
  bool ended() const { return ended_; }    // the server said that this was all
  bool broken() const { return broken_; }  // reset
  void EndSending() const { ::shutdown(fd_, SHUT_WR); }
  void Close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  void Reset() {
    const linger now{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    Close();
  }

  std::string seen;

 private:
  int fd_;
  bool connected_ = false;
  bool ended_ = false;
  bool broken_ = false;
};

// Keeps everything it is told; a test replaces on_bytes where it wants something else.
class Recorder : public Handler {
 public:
  void OnOpen(Slot slot, int tag, const Peer& peer) override {
    last_opened = slot;
    last_peer = peer;
    story += "open " + std::to_string(tag) + "\n";
    ++opened;
    if (on_open) on_open(slot);
  }
  std::size_t OnBytes(Slot slot, char* bytes, std::size_t size) override {
    ++shown;
    if (on_bytes) return on_bytes(slot, std::string_view(bytes, size));
    input[slot].append(bytes, size);
    return size;
  }
  void OnClose(Slot slot, CloseCause cause) override {
    ++closed[slot];
    ++closes;
    const char* why = cause == CloseCause::kPeer    ? "peer"
                      : cause == CloseCause::kError ? "error"
                                                    : "local";
    story += std::string("close ") + why + "\n";
    if (on_close) on_close(slot);
  }
  void OnDeadline(Slot slot) override {
    ++deadlines;
    if (on_deadline) on_deadline(slot);
  }
  void OnDrained(Slot) override { ++drained; }

  std::function<void(Slot)> on_open, on_close, on_deadline;
  std::function<std::size_t(Slot, std::string_view)> on_bytes;
  std::string story;
  Slot last_opened = 0;
  Peer last_peer{};
  int opened = 0, closes = 0, shown = 0, deadlines = 0, drained = 0;
  std::map<Slot, int> closed;
  std::map<Slot, std::string> input;
};

struct Harness {
  explicit Harness(const ConnectionsOptions& options = {}, Tls* tls = nullptr) {
    loop = std::move(*Loop::Make({}));
    connections = std::make_unique<Connections>(*loop, options, recorder);
    ListenOptions listen;
    listen.tls = tls;
    listen.tag = 7;
    port = *connections->Listen(listen);
  }

  // Turns until it holds; false when it never does.
  bool Until(const std::function<bool()>& holds) {
    for (int turns = 0; turns < kTurnsMax; ++turns) {
      if (holds()) return true;
      loop->Turn(2);
    }
    return holds();
  }
  void Turns(int count) {
    for (int i = 0; i < count; ++i)
      loop->Turn(0);
  }
  // Connects one more and waits for its OnOpen.
  std::unique_ptr<Client> Connect(int rcvbuf_bytes = 0) {
    const int before = recorder.opened;
    auto client = std::make_unique<Client>(port, rcvbuf_bytes);
    assert(client->connected());
    const bool opened = Until([&] { return recorder.opened > before; });
    assert(opened);
    return client;
  }

  Recorder recorder;
  std::unique_ptr<Loop> loop;
  std::unique_ptr<Connections> connections;
  std::uint16_t port = 0;
};

}  // namespace encke::net

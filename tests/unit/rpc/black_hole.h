#pragma once
// BlackHole: a TCP relay on loopback that can fall silent without closing anything, as a machine
// does that lost its power.

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace encke::rpc {

class BlackHole {
 public:
  explicit BlackHole(std::uint16_t target) : target_(target) {
    listener_ = socket(AF_INET, SOCK_STREAM, 0);
    auto address = Loopback(0);
    socklen_t size = sizeof address;
    bind(listener_, Cast(&address), size);
    listen(listener_, 8);
    getsockname(listener_, Cast(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Relay(); });
  }
  ~BlackHole() {
    stop_ = true;
    thread_.join();
    close(listener_);
    for (const auto& pair : pairs_) {
      close(pair[0]);
      close(pair[1]);
    }
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  void Swallow() { silent_ = true; }

 private:
  static sockaddr_in Loopback(std::uint16_t port) {
    sockaddr_in out{};
    out.sin_family = AF_INET;
    out.sin_port = htons(port);
    out.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return out;
  }
  static sockaddr* Cast(sockaddr_in* in) { return reinterpret_cast<sockaddr*>(in); }

  void Relay() {
    while (!stop_) {
      std::vector<pollfd> fds{{listener_, POLLIN, 0}};
      for (const auto& pair : pairs_) {
        fds.push_back({pair[0], POLLIN, 0});
        fds.push_back({pair[1], POLLIN, 0});
      }
      // When silent nothing is read any more, so only the time limit of poll ends the round.
      poll(fds.data(), silent_ ? 0 : fds.size(), 10);
      if (silent_) continue;
      const std::size_t known = pairs_.size();
      if ((fds[0].revents & POLLIN) != 0) Accept();
      for (std::size_t i = 0; i < known; ++i) {
        if ((fds[1 + 2 * i].revents & POLLIN) != 0) Copy(pairs_[i][0], pairs_[i][1]);
        if ((fds[2 + 2 * i].revents & POLLIN) != 0) Copy(pairs_[i][1], pairs_[i][0]);
      }
    }
  }
  void Accept() {
    const int in = accept(listener_, nullptr, nullptr);
    const int out = socket(AF_INET, SOCK_STREAM, 0);
    auto address = Loopback(target_);
    connect(out, Cast(&address), sizeof address);
    pairs_.push_back({in, out});
  }
  static void Copy(int from, int to) {
    std::array<char, 4096> buffer;
    const ssize_t n = recv(from, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (n > 0) send(to, buffer.data(), static_cast<std::size_t>(n), MSG_NOSIGNAL);
  }

  const std::uint16_t target_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> stop_{false};
  std::atomic<bool> silent_{false};
  std::vector<std::array<int, 2>> pairs_;
  std::thread thread_;
};

}  // namespace encke::rpc

#pragma once
// RawClient: a blocking socket that speaks HTTP by hand, so that the server is not tested against
// its own library.  Reads give up after ten seconds, which fails the test instead of hanging it.

#include <array>
#include <cstdlib>
#include <string>
#include <string_view>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace encke::web {

struct RawReply {
  int status = 0;
  std::string head;
  std::string body;
};

class RawClient {
 public:
  explicit RawClient(std::uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval patience{10, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
  }
  ~RawClient() { Close(); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool connected() const { return connected_; }
  int fd() const { return fd_; }

  // False when the server has closed before all was sent.
  bool Send(std::string_view text) {
    while (!text.empty()) {
      const auto sent = send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  // One reply; status 0 when the connection ended first.
  RawReply Read(bool with_body = true) {
    RawReply reply;
    while (in_.find("\r\n\r\n") == std::string::npos) {
      if (!More()) return reply;
    }
    const auto end = in_.find("\r\n\r\n") + 4;
    reply.head = in_.substr(0, end);
    const auto at = reply.head.find("Content-Length: ");
    const std::size_t bytes = with_body && at != std::string::npos
                                  ? std::strtoull(reply.head.c_str() + at + 16, nullptr, 10)
                                  : 0;
    while (in_.size() < end + bytes) {
      if (!More()) return reply;
    }
    reply.body = in_.substr(end, bytes);
    reply.status = std::atoi(reply.head.c_str() + sizeof("HTTP/1.1 ") - 1);
    in_.erase(0, end + bytes);
    return reply;
  }

  // True when the server closed and nothing was left to read.
  bool AtEnd() { return in_.empty() && !More() && ended_; }

  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

 private:
  bool More() {
    std::array<char, 65536> buffer;
    const auto got = recv(fd_, buffer.data(), buffer.size(), 0);
    ended_ = got == 0;
    if (got <= 0) return false;
    in_.append(buffer.data(), static_cast<std::size_t>(got));
    return true;
  }

  int fd_;
  bool connected_ = false;
  bool ended_ = false;
  std::string in_;
};

}  // namespace encke::web

#include "http/caller.h"

#include <cerrno>
#include <charconv>

#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"

namespace encke::bench {
namespace {

constexpr std::int64_t kRedialUs = 100'000;

// The value of a header field; `name` in lower case.
std::string_view Field(std::string_view head, std::string_view name) {
  for (auto line = head.find("\r\n"); line != std::string_view::npos;
       line = head.find("\r\n", line + 2)) {
    const auto rest = head.substr(line + 2);
    if (rest.size() <= name.size() || rest[name.size()] != ':') continue;
    std::size_t i = 0;
    while (i < name.size() && (rest[i] | 0x20) == name[i])
      ++i;
    if (i < name.size()) continue;
    auto value = rest.substr(i + 1, rest.find("\r\n") - i - 1);
    while (value.starts_with(' '))
      value.remove_prefix(1);
    return value;
  }
  return {};
}

}  // namespace

Answer ReadAnswer(std::string_view in) {
  const auto end = in.find("\r\n\r\n");
  if (end == std::string_view::npos) return {};
  const auto head = in.substr(0, end + 2);
  const auto length = Field(head, "content-length");
  std::size_t size = 0;
  std::from_chars(length.data(), length.data() + length.size(), size);
  if (in.size() < end + 4 + size) return {};
  const auto body = in.substr(end + 4, size);
  Answer answer;
  answer.size = end + 4 + size;
  const auto says = [body](std::string_view word) {
    return body.find(word) != std::string_view::npos;
  };
  answer.accepted = head.size() > 12 && head.substr(9, 3) == "200" &&
                    (says("\"code\":0") || (says("\"results\":") && !says("\"error\":")));
  answer.last = Field(head, "connection") == "close";
  return answer;
}

bool Caller::Dial() {
  if (fd_ >= 0) return true;
  if (NowUs() - dialled_us_ < kRedialUs) return false;
  dialled_us_ = NowUs();
  fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const timeval patience{2, 0};
  setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);  // of connect, too
  if (connect(fd_, reinterpret_cast<const sockaddr*>(&to_), sizeof to_) != 0) {
    close(fd_);
    fd_ = -1;
    return false;
  }
  epoll_event event{};
  event.events = EPOLLIN | EPOLLRDHUP;
  event.data.u64 = tag_;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, fd_, &event);
  return true;
}

void Caller::WatchWritable(bool on) {
  if (on == watching_) return;
  watching_ = on;
  epoll_event event{};
  event.events = EPOLLIN | EPOLLRDHUP | (on ? EPOLLOUT : 0U);
  event.data.u64 = tag_;
  epoll_ctl(epoll_, EPOLL_CTL_MOD, fd_, &event);
}

void Caller::Flush() {
  if (fd_ < 0 || out_.empty()) return;
  const ssize_t n = send(fd_, out_.data(), out_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (n < 0 && errno != EAGAIN) return Hang();
  if (n > 0) out_.erase(0, static_cast<std::size_t>(n));
  WatchWritable(!out_.empty());
}

void Caller::OnEvent(std::uint32_t events) {
  if (fd_ < 0) return;
  if ((events & EPOLLOUT) != 0) Flush();
  if (fd_ >= 0 && (events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0) OnReadable();
}

void Caller::OnReadable() {
  char buffer[65536];
  const ssize_t n = recv(fd_, buffer, sizeof buffer, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) return Hang();
  in_.append(buffer, static_cast<std::size_t>(n));
  std::size_t at = 0;
  while (!flight_.empty()) {
    const Answer answer = ReadAnswer(std::string_view(in_).substr(at));
    if (answer.size == 0) break;
    at += answer.size;
    const Sent sent = flight_.front();
    flight_.pop_front();
    settle_(sent, answer.accepted);
    if (answer.last) return Hang();
  }
  in_.erase(0, at);
}

void Caller::Hang() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
  watching_ = false;
  out_.clear();
  in_.clear();
  while (!flight_.empty()) {
    const Sent sent = flight_.front();
    flight_.pop_front();
    settle_(sent, false);
  }
}

}  // namespace encke::bench

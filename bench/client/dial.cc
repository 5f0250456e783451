// Swarm: connecting, saying hello, and parting.

#include <cerrno>
#include <cstdio>

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/codec.h"
#include "client/swarm.h"
#include "clock.h"

namespace encke::bench {
namespace {

constexpr std::int64_t kAgainUs = 500'000;  // a failed client tries again after this

}  // namespace

void Swarm::Ramp() {
  while (!again_.empty() && again_.front().first <= now_us_) {
    waiting_.push_back(again_.front().second);
    again_.pop_front();
  }
  while (!waiting_.empty() && under_way_ < options_.in_progress) {
    if (ramp_rate_ > 0) {
      const double allowed = ramp_rate_ * static_cast<double>(now_us_ - ramp_from_us_) / 1e6;
      if (static_cast<double>(ramp_begun_) >= allowed) return;
    }
    const std::size_t i = waiting_.front();
    waiting_.pop_front();
    ++ramp_begun_;
    if (clients_[i].stage == Stage::kIdle) Dial(i);
  }
}

// Connects without an answer are given up; looked for once a second.
void Swarm::Expire() {
  if (under_way_ == 0 || now_us_ - expired_us_ < 1'000'000) return;
  expired_us_ = now_us_;
  const double limit = options_.connect_timeout * 1e6;
  for (std::size_t i = 0; i < clients_.size(); ++i) {
    const Client& client = clients_[i];
    if (client.stage == Stage::kIdle || client.stage == Stage::kReady) continue;
    const auto age = static_cast<std::uint32_t>(now_us_) - client.began_us;
    if (static_cast<std::int32_t>(age) > 0 && age > limit) Lose(i);
  }
}

void Swarm::Dial(std::size_t i) {
  Client& client = clients_[i];
  const auto number = static_cast<std::size_t>(first_) + i;
  ++tally_.attempts;
  ++under_way_;
  client.stage = Stage::kConnecting;
  client.began_us = static_cast<std::uint32_t>(NowUs());
  client.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (client.fd < 0) {
    std::perror("encke-bench: socket");
    return Lose(i);
  }
  if (sources_.count > 0) {
    const int on = 1;  // the port is chosen when the other end is known: no limit over all of them
    setsockopt(client.fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    const sockaddr_in from = sources_.At(static_cast<std::uint64_t>(options_.mid_base) + number);
    if (bind(client.fd, reinterpret_cast<const sockaddr*>(&from), sizeof from) != 0) {
      std::perror("encke-bench: bind to a source address");
      return Lose(i);
    }
  }
  const CometDoors& comet = comets_[number % comets_.size()];
  const sockaddr_in& to = client.ws ? comet.ws : comet.tcp;
  const int status = connect(client.fd, reinterpret_cast<const sockaddr*>(&to), sizeof to);
  if (status != 0 && errno != EINPROGRESS) return Lose(i);
  // On loopback the handshake is over by now, and the first send goes through at once.
  Greet(i);
  if (client.stage == Stage::kIdle) return;
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET | EPOLLRDHUP;
  if (client.stage == Stage::kConnecting) event.events |= EPOLLOUT;
  event.data.u64 = i;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, client.fd, &event);
}

// The first bytes of a client; stays in kConnecting when the connection is not up yet.
void Swarm::Greet(std::size_t i) {
  Client& client = clients_[i];
  if (!client.ws) return Login(i);
  const auto hello = UpgradeRequest();
  const ssize_t n = send(client.fd, hello.data(), hello.size(), MSG_NOSIGNAL);
  if (n == static_cast<ssize_t>(hello.size())) {
    client.stage = Stage::kUpgrading;
  } else if (n >= 0 || errno != EAGAIN) {
    Lose(i);
  }
}

void Swarm::Login(std::size_t i) {
  Client& client = clients_[i];
  const auto number = static_cast<std::size_t>(first_) + i;
  const std::int64_t mid = options_.mid_base + static_cast<std::int64_t>(number);
  const auto group = number / static_cast<std::size_t>(options_.group_size());
  out_.clear();
  AppendLogin(options_.version, client.ws, mid,
              options_.RoomName(static_cast<std::uint32_t>(group)),
              options_.keys ? options_.KeyOf(mid) : "", &out_);
  const ssize_t n = send(client.fd, out_.data(), out_.size(), MSG_NOSIGNAL);
  if (n == static_cast<ssize_t>(out_.size())) {
    client.stage = Stage::kAuth;
  } else if (n >= 0 || errno != EAGAIN || client.stage != Stage::kConnecting) {
    Lose(i);
  }
}

// False when the connection cannot be used any more.  A full socket swallows a heartbeat.
bool Swarm::Send(Client& client, std::string_view bytes) {
  const ssize_t n = send(client.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  return n == static_cast<ssize_t>(bytes.size()) || (n < 0 && errno == EAGAIN);
}

void Swarm::Leave(std::size_t i) {
  Client& client = clients_[i];
  --(client.stage == Stage::kReady ? ready_ : under_way_);
  Close(client);
}

void Swarm::Lose(std::size_t i) {
  Client& client = clients_[i];
  if (client.stage == Stage::kReady) {
    ++tally_.closed;
  } else if (++client.attempts < options_.attempts) {
    again_.emplace_back(now_us_ + kAgainUs, i);
  } else {
    ++tally_.failed;
  }
  Leave(i);
}

// A reset: no pile of TIME_WAIT on the load machine.
void Swarm::Close(Client& client) {
  const linger gone{1, 0};
  if (client.fd >= 0) {
    setsockopt(client.fd, SOL_SOCKET, SO_LINGER, &gone, sizeof gone);
    close(client.fd);
  }
  client.fd = -1;
  client.stage = Stage::kIdle;
  client.frame_left = 0;
  FreeSlot(client);
}

}  // namespace encke::bench

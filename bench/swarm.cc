#include "swarm.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace encke::bench {
namespace {

constexpr std::size_t kHeader = 16;

std::uint32_t Get32(const char* in) {
  std::uint32_t v = 0;
  std::memcpy(&v, in, 4);
  return ntohl(v);
}

void Put32(std::string* out, std::uint32_t v) {
  v = htonl(v);
  out->append(reinterpret_cast<const char*>(&v), 4);
}

sockaddr_in Address(const std::string& text) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  const auto colon = text.rfind(':');
  address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(text.c_str() + colon + 1)));
  if (inet_pton(AF_INET, text.substr(0, colon).c_str(), &address.sin_addr) != 1) {
    std::fprintf(stderr, "not an IPv4 address: %s\n", text.c_str());
    std::exit(2);
  }
  return address;
}

}  // namespace

std::int64_t NowUs() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1'000'000LL + t.tv_nsec / 1000;
}

Swarm::Swarm(const Options& options, int index, int connections)
    : options_(options),
      index_(index),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      clients_(static_cast<std::size_t>(connections)),
      buffer_(256 * 1024) {
  for (std::size_t i = clients_.size(); i-- > 0;) {
    const double share = static_cast<double>(i + 1) * options.ws_share;
    clients_[i].ws =
        static_cast<std::int64_t>(share) != static_cast<std::int64_t>(share - options.ws_share);
    waiting_.push_back(i);
  }
}

Swarm::~Swarm() {
  for (auto& client : clients_) {
    if (client.fd >= 0) close(client.fd);
  }
  close(epoll_);
}

void Swarm::Run() {
  started_us_ = heartbeat_swept_us_ = now_us_ = NowUs();
  std::array<epoll_event, 512> events{};
  while (!stop_) {
    Ramp();
    Heartbeats();
    Churn();
    const int n = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 5);
    now_us_ = NowUs();
    for (int k = 0; k < n; ++k) {
      OnEvent(events[static_cast<std::size_t>(k)].data.u64,
              events[static_cast<std::size_t>(k)].events);
    }
  }
}

void Swarm::Ramp() {
  const double rate = options_.connect_rate / options_.threads;
  while (!waiting_.empty() && under_way_ < options_.in_progress) {
    const double allowed = rate * static_cast<double>(now_us_ - started_us_) / 1e6;
    if (rate > 0 && static_cast<double>(connects_begun_) >= allowed) return;
    const std::size_t i = waiting_.back();
    waiting_.pop_back();
    ++connects_begun_;
    Connect(i);
  }
}

void Swarm::Connect(std::size_t i) {
  Client& client = clients_[i];
  client.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (client.fd < 0) {
    std::perror("socket");
    ++failed;
    return;
  }
  const int on = 1;
  setsockopt(client.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const linger gone{1, 0};  // reset on close: no TIME_WAIT pile on the load machine
  setsockopt(client.fd, SOL_SOCKET, SO_LINGER, &gone, sizeof gone);
  const sockaddr_in to = Address(client.ws ? options_.ws : options_.tcp);
  if ((ntohl(to.sin_addr.s_addr) >> 24) == 127) {  // many source addresses: ports are no limit
    setsockopt(client.fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    sockaddr_in from{};
    from.sin_family = AF_INET;
    from.sin_addr.s_addr = htonl(0x7f010001U + (static_cast<std::uint32_t>(index_) << 8) +
                                 static_cast<std::uint32_t>(i % 8));
    bind(client.fd, reinterpret_cast<const sockaddr*>(&from), sizeof from);
  }
  client.began_us = now_us_;
  client.stage = Stage::kConnecting;
  client.counted = false;
  client.partial.clear();
  ++under_way_;
  if (connect(client.fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) < 0 &&
      errno != EINPROGRESS) {
    return Drop(i, false);
  }
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLET | EPOLLRDHUP;
  event.data.u64 = i;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, client.fd, &event);
}

void Swarm::OnEvent(std::size_t i, std::uint32_t events) {
  Client& client = clients_[i];
  if (client.fd < 0) return;
  if (client.stage == Stage::kConnecting && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) {
    if ((events & (EPOLLERR | EPOLLHUP)) != 0) return Drop(i, false);
    if (client.ws) {
      static const std::string kUpgrade =
          "GET /sub HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
          "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
      client.stage = Stage::kUpgrading;
      send(client.fd, kUpgrade.data(), kUpgrade.size(), MSG_NOSIGNAL);
    } else {
      client.stage = Stage::kAuth;
      SendPackage(client, 7,
                  "{\"mid\":" +
                      std::to_string(options_.first_mid + index_ * 1'000'000 +
                                     static_cast<std::int64_t>(i)) +
                      ",\"room_id\":\"" + options_.room +
                      "\",\"platform\":\"bench\",\"accepts\":[1000]}");
    }
  }
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP)) != 0) OnReadable(i);
}

void Swarm::OnReadable(std::size_t i) {
  Client& client = clients_[i];
  while (client.fd >= 0) {
    const ssize_t n = recv(client.fd, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) return Drop(i, false);
    const bool joined = !client.partial.empty();
    if (joined) client.partial.append(buffer_.data(), static_cast<std::size_t>(n));
    const char* in = joined ? client.partial.data() : buffer_.data();
    const std::size_t size = joined ? client.partial.size() : static_cast<std::size_t>(n);
    const std::size_t used = Consume(client, in, size);
    if (joined) {
      client.partial.erase(0, used);
    } else if (used < size) {
      client.partial.assign(in + used, size - used);
    }
    if (client.partial.empty() && client.partial.capacity() > 1024)
      std::string().swap(client.partial);
    if (static_cast<std::size_t>(n) < buffer_.size()) return;
  }
}

std::size_t Swarm::Consume(Client& client, const char* in, std::size_t size) {
  std::size_t used = 0;
  if (client.stage == Stage::kUpgrading) {
    used = ConsumeUpgrade(client, in, size);
    if (client.stage == Stage::kUpgrading) return 0;
  }
  return used + (client.ws ? ConsumeFrames(client, in + used, size - used)
                           : ConsumePackages(client, in + used, size - used));
}

std::size_t Swarm::ConsumeUpgrade(Client& client, const char* in, std::size_t size) {
  const std::string text(in, size);
  const auto end = text.find("\r\n\r\n");
  if (end == std::string::npos) return 0;
  client.stage = Stage::kAuth;
  const auto i = static_cast<std::int64_t>(&client - clients_.data());
  SendPackage(client, 7,
              "{\"mid\":" + std::to_string(options_.first_mid + index_ * 1'000'000 + i) +
                  ",\"room_id\":\"" + options_.room +
                  "\",\"platform\":\"bench\",\"accepts\":[1000]}");
  return end + 4;
}

std::size_t Swarm::ConsumeFrames(Client& client, const char* in, std::size_t size) {
  std::size_t at = 0;
  while (size - at >= 2) {
    const auto* head = reinterpret_cast<const unsigned char*>(in + at);
    std::size_t skip = 2;
    std::size_t length = head[1] & 0x7f;
    if (length == 126) skip = 4;
    if (length == 127) skip = 10;
    if (size - at < skip) break;
    if (length == 126) length = static_cast<std::size_t>(head[2]) << 8 | head[3];
    if (length == 127) length = Get32(in + at + 6);
    if (size - at < skip + length) break;
    if ((head[0] & 0x0f) == 2) {
      const char* body = in + at + skip;
      const bool raw = length >= kHeader && Get32(body + 8) == 9;
      ConsumePackages(client, raw ? body + kHeader : body, raw ? length - kHeader : length);
    }
    at += skip + length;
  }
  return at;
}

std::size_t Swarm::ConsumePackages(Client& client, const char* in, std::size_t size) {
  std::size_t at = 0;
  while (size - at >= kHeader) {
    const std::size_t length = Get32(in + at);
    if (length < kHeader || size - at < length) break;
    OnPackage(client, static_cast<std::int32_t>(Get32(in + at + 8)), in + at + kHeader,
              length - kHeader);
    at += length;
  }
  return at;
}

void Swarm::OnPackage(Client& client, std::int32_t op, const char* body, std::size_t size) {
  if (client.stage == Stage::kAuth && op == 8) {
    client.stage = Stage::kReady;
    --under_way_;
    ++ready;
    auth_us_.Add(static_cast<std::uint64_t>(NowUs() - client.began_us));
    return;
  }
  if (op == 1000) OnPush(client, body, size);
}

// Body of a push: 16 hex digits of the planned time in us, a space, 8 hex digits of its number.
void Swarm::OnPush(Client& client, const char* body, std::size_t size) {
  if (size < 25) return;
  const std::string text(body, 25);
  const auto planned = static_cast<std::int64_t>(std::strtoull(text.c_str(), nullptr, 16));
  const auto number = static_cast<std::uint32_t>(std::strtoul(text.c_str() + 17, nullptr, 16));
  ++delivered;
  latency_.Add(static_cast<std::uint64_t>(std::max<std::int64_t>(0, NowUs() - planned)));
  if (client.counted && options_.callers == 1) {
    if (number == client.last_push) {
      ++duplicates;
    } else if (number < client.last_push) {
      ++disordered;
    } else {
      gaps += number - client.last_push - 1;
    }
  }
  client.counted = true;
  client.last_push = number;
}

void Swarm::SendPackage(Client& client, std::int32_t op, const std::string& body) {
  std::string out;
  if (client.ws) {  // a masked frame; an all-zero mask is a mask
    const std::size_t length = kHeader + body.size();
    out += static_cast<char>(0x82);
    if (length < 126) {
      out += static_cast<char>(0x80 | length);
    } else {
      out += static_cast<char>(0x80 | 126);
      out += static_cast<char>(length >> 8);
      out += static_cast<char>(length & 0xff);
    }
    out.append(4, '\0');
  }
  Put32(&out, static_cast<std::uint32_t>(kHeader + body.size()));
  Put32(&out, 16U << 16 | 1U);
  Put32(&out, static_cast<std::uint32_t>(op));
  Put32(&out, 1);
  out += body;
  send(client.fd, out.data(), out.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

void Swarm::Drop(std::size_t i, bool on_purpose) {
  Client& client = clients_[i];
  if (client.stage == Stage::kReady) {
    --ready;
    if (!on_purpose) ++closed;
  } else {
    --under_way_;
    ++failed;
  }
  close(client.fd);
  client.fd = -1;
  client.stage = Stage::kIdle;
  if (on_purpose) waiting_.push_back(i);
}

// One sweep position walks all clients once per heartbeat period: evenly spread, no timer each.
void Swarm::Heartbeats() {
  const double per_us = static_cast<double>(clients_.size()) / (options_.heartbeat_s * 1e6);
  auto due = static_cast<std::size_t>(per_us * static_cast<double>(now_us_ - heartbeat_swept_us_));
  if (due == 0) return;
  heartbeat_swept_us_ = now_us_;
  for (; due > 0; --due) {
    heartbeat_at_ = (heartbeat_at_ + 1) % clients_.size();
    if (clients_[heartbeat_at_].stage == Stage::kReady) SendPackage(clients_[heartbeat_at_], 2, "");
  }
}

void Swarm::Churn() {
  const double rate = churn_rate_;
  if (rate <= 0) return;
  if (churn_begun_us_ == 0) churn_begun_us_ = now_us_;
  const auto due =
      static_cast<std::int64_t>(rate * static_cast<double>(now_us_ - churn_begun_us_) / 1e6);
  for (; churn_done_ < due; ++churn_done_) {
    const std::size_t i = static_cast<std::size_t>(churn_done_ * 7919) % clients_.size();
    if (clients_[i].stage != Stage::kReady) continue;
    Drop(i, true);
    ++churned;
  }
}

}  // namespace encke::bench

#pragma once
// World: one shard's Sessions on real loopback sockets, with a logic that answers when told to.
// The loop is turned by the test itself; nothing sleeps.

#include <cassert>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/loop.h"
#include "session/sessions.h"

namespace encke::session {

struct FakeLogic final : uplink::LogicPort {
  std::vector<Connect> asks;
  std::vector<Renewal> renewals;
  std::vector<Disconnect> goodbyes;
  std::vector<Upstream> packages;
  std::vector<Request> requests;
  bool full = false;

  bool Arrive(Connect ask) override {
    if (!full) asks.push_back(std::move(ask));
    return !full;
  }
  bool Ask(Request request) override {
    if (!full) requests.push_back(std::move(request));
    return !full;
  }
  bool Renew(Renewal renewal) override {
    if (!full) renewals.push_back(std::move(renewal));
    return !full;
  }
  void Depart(Disconnect goodbye) override { goodbyes.push_back(std::move(goodbye)); }
  bool Receive(Upstream package) override {
    if (!full) packages.push_back(std::move(package));
    return !full;
  }
};

// "00000010 0010 0001" -> bytes; blanks are ignored.
inline std::string Hex(std::string_view text) {
  std::string out;
  int high = -1;
  for (const char c : text) {
    if (c == ' ') continue;
    const int digit = c <= '9' ? c - '0' : c - 'a' + 10;
    if (high < 0) {
      high = digit;
    } else {
      out += static_cast<char>(high * 16 + digit);
      high = -1;
    }
  }
  return out;
}

inline std::string Packed(std::int32_t op,
                          std::int32_t seq,
                          std::string_view body,
                          std::int16_t ver = 1) {
  std::string out;
  wire::AppendPackage(&out, {ver, op, seq, body});
  return out;
}

// An unmasked binary frame; goim takes them.
inline std::string Framed(std::string_view payload,
                          wire::WsOpcode opcode = wire::WsOpcode::kBinary) {
  std::string out;
  wire::AppendWsHeader(&out, opcode, payload.size());
  out += payload;
  return out;
}

class Client {
 public:
  // rcvbuf: bytes the kernel holds for a client that does not read; 0 = its own choice.
  explicit Client(std::uint16_t port, int rcvbuf = 0) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    if (rcvbuf > 0) ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof rcvbuf);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    [[maybe_unused]] const int rc = ::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to);
    assert(rc == 0);
    ::fcntl(fd_, F_SETFL, O_NONBLOCK);
  }
  ~Client() { Hang(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void Hang() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  // What the kernel does not take now waits for the next Say or Hear.
  void Say(std::string_view bytes) {
    unsent_ += bytes;
    const ssize_t n = ::send(fd_, unsent_.data(), unsent_.size(), MSG_NOSIGNAL);
    if (n > 0) unsent_.erase(0, static_cast<std::size_t>(n));
  }
  const std::string& Hear() {
    if (!unsent_.empty()) Say({});
    char buffer[65536];
    for (;;) {
      const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
      if (n > 0) {
        heard_.append(buffer, static_cast<std::size_t>(n));
        continue;
      }
      closed_ |= n == 0 || (errno != EAGAIN && errno != EINTR);
      return heard_;
    }
  }
  bool Closed() {
    Hear();
    return closed_;
  }
  std::string Take() { return std::exchange(heard_, {}); }
  int fd() const { return fd_; }

 private:
  int fd_;
  bool closed_ = false;
  std::string heard_, unsent_;
};

class World : public Mail {
 public:
  explicit World(ShardOptions options = {}, downlink::InterestOptions interest_options = {})
      : interest(interest_options),
        loop(std::move(*net::Loop::Make({}))),
        sessions(std::make_unique<Sessions>(
            *loop, options, SessionParts{logic, interest, directory, census, addresses, *this})) {
    tcp = *sessions->Listen(Transport::kTcp, "127.0.0.1:0", nullptr);
    ws = *sessions->Listen(Transport::kWs, "127.0.0.1:0", nullptr);
  }

  void Tell(std::uint32_t, std::function<void(Sessions&)> task) override {
    mail.push_back(std::move(task));
  }

  void Turn() {
    for (auto& task : std::exchange(mail, {}))
      task(*sessions);
    loop->Turn(5);
    sessions->Tick();
  }
  // Turns until `done`; a test that waits in vain fails after some seconds.
  bool Until(const std::function<bool()>& done) {
    for (const std::int64_t until = MonotonicMs() + 10'000; MonotonicMs() < until; Turn()) {
      if (done()) return true;
    }
    return done();
  }
  bool Hears(Client& client, const std::string& bytes) {
    return Until([&] { return client.Hear().size() >= bytes.size() || client.Closed(); }) &&
           client.Take() == bytes;
  }
  bool Closes(Client& client) {
    return Until([&] { return client.Closed(); });
  }
  std::uint64_t closed(CloseReason reason) {
    return sessions->stats().closed[static_cast<std::size_t>(reason)].value();
  }

  ConnectReply Welcome(const Connect& ask, std::string key, std::string room = {}) {
    ConnectReply reply;
    reply.set_id(ask.id());
    reply.set_mid(7);
    reply.set_key(std::move(key));
    reply.set_room(std::move(room));
    reply.add_accepts(1000);
    reply.set_heartbeat_ms(480'000);
    reply.set_generation(++generation);
    return reply;
  }
  // The client's auth with seq 1 has been said; logic lets it in and the reply is heard.
  bool LetIn(Client& client, const std::string& key, const std::string& room = {}) {
    if (!Until([&] { return !logic.asks.empty(); })) return false;
    sessions->Answer(Welcome(std::exchange(logic.asks, {}).front(), key, room));
    return Until([&] { return !client.Hear().empty(); });
  }
  std::unique_ptr<Client> Tcp(const std::string& key,
                              const std::string& room = {},
                              int rcvbuf = 0) {
    auto client = std::make_unique<Client>(tcp, rcvbuf);
    client->Say(Packed(7, 1, "{}"));
    if (!LetIn(*client, key, room)) return nullptr;
    return client->Take() == Packed(8, 1, {}) ? std::move(client) : nullptr;
  }
  // A WebSocket that has been upgraded, not more.
  std::unique_ptr<Client> Upgraded() {
    auto client = std::make_unique<Client>(ws);
    client->Say(
        "GET /sub HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Cookie: a=b\r\n\r\n");
    const bool answered = Until([&] { return client->Hear().ends_with("\r\n\r\n"); });
    if (!answered || !client->Take().starts_with("HTTP/1.1 101 ")) return nullptr;
    return client;
  }
  std::unique_ptr<Client> Ws(const std::string& key, const std::string& room = {}) {
    auto client = Upgraded();
    if (!client) return nullptr;
    client->Say(Framed(Packed(7, 1, "{}")));
    if (!LetIn(*client, key, room)) return nullptr;
    return client->Take() == Framed(Packed(8, 1, {})) ? std::move(client) : nullptr;
  }
  // Pushes to a room and flushes, as PushDoor and Shard do.
  void PushRoom(std::string_view room, std::int32_t op, std::string_view body) {
    sessions->hub().PushRoom(room, op, body);
    while (sessions->hub().Flush(1000)) {
    }
  }

  FakeLogic logic;
  downlink::Interest interest;
  hub::Directory directory;
  uplink::Census census;
  Addresses addresses;
  std::vector<std::function<void(Sessions&)>> mail;
  std::unique_ptr<net::Loop> loop;
  std::unique_ptr<Sessions> sessions;
  std::uint16_t tcp = 0, ws = 0;
  std::uint64_t generation = 0;
};

}  // namespace encke::session

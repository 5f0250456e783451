#include "net/listener.h"

#include <string>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <sys/resource.h>

#include "unit/net/harness.h"

namespace encke::net {
namespace {

Result<std::uint16_t> ListenAt(Harness* h, const std::string& address, bool claim = false) {
  ListenOptions options;
  options.address = address;
  options.claim = claim;
  return h->connections->Listen(options);
}

TEST(Listener, RefusesAddressesThatMakeNoSense) {
  Harness h;
  for (const char* address : {"", "127.0.0.1", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:70000",
                              "no such host.invalid:1", "[::1:3101"}) {
    const auto port = ListenAt(&h, address);
    ASSERT_FALSE(port) << address;
    EXPECT_EQ(port.error().text.rfind("listen " + std::string(address), 0), 0u)
        << port.error().text;
  }
}

TEST(Listener, NamesTheAddressThatIsInUse) {
  Harness h;
  const int other = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(at);
  ASSERT_EQ(::bind(other, reinterpret_cast<sockaddr*>(&at), size), 0);
  ASSERT_EQ(::listen(other, 1), 0);
  ASSERT_EQ(::getsockname(other, reinterpret_cast<sockaddr*>(&at), &size), 0);
  const std::string address = "127.0.0.1:" + std::to_string(ntohs(at.sin_port));
  const auto port = ListenAt(&h, address);
  ASSERT_FALSE(port);
  EXPECT_EQ(port.error().code, Errc::kConflict);
  EXPECT_EQ(port.error().text, "listen " + address + ": bind: Address already in use");
  ::close(other);
  EXPECT_TRUE(ListenAt(&h, address));
}

TEST(Listener, ShardsShareAPortAndAClaimDoesNot) {
  Harness one;
  Harness two;
  const std::string address = "127.0.0.1:" + std::to_string(one.port);
  EXPECT_TRUE(ListenAt(&two, address));
  const auto claimed = ListenAt(&two, address, /*claim=*/true);
  ASSERT_FALSE(claimed);
  EXPECT_EQ(claimed.error().code, Errc::kConflict);
  EXPECT_TRUE(ListenAt(&two, "127.0.0.1:0", /*claim=*/true));
}

TEST(Listener, TakesIPv6AndEveryAddress) {
  Harness h;
  EXPECT_TRUE(ListenAt(&h, ":0"));
  EXPECT_TRUE(ListenAt(&h, "localhost:0"));
  const auto port = ListenAt(&h, "[::1]:0");
  if (!port) GTEST_SKIP() << "no IPv6 here: " << port.error().text;
  const int fd = ::socket(AF_INET6, SOCK_STREAM, 0);
  sockaddr_in6 to{};
  to.sin6_family = AF_INET6;
  to.sin6_addr = in6addr_loopback;
  to.sin6_port = htons(*port);
  ASSERT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
  ASSERT_TRUE(h.Until([&] { return h.recorder.opened == 1; }));
  EXPECT_STREQ(h.recorder.last_peer.ip, "::1");
  ::close(fd);
}

TEST(Listener, AcceptedSocketsDoNotBlockAndDoNotDelay) {
  auto listener = Listener::Open({}, {});
  ASSERT_TRUE(listener);
  Client client(listener->port());
  int fd = -1;
  Peer peer{};
  ASSERT_EQ(listener->Accept(&fd, &peer), Listener::Got::kConnection);
  EXPECT_NE(::fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(::fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
  int value = 0;
  socklen_t size = sizeof(value);
  ASSERT_EQ(::getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &size), 0);
  EXPECT_NE(value, 0);
  ::close(fd);
  EXPECT_EQ(listener->Accept(&fd, &peer), Listener::Got::kNothing);
}

// Lowers the limit of descriptors to what is open now, and puts it back.
class FewDescriptors {
 public:
  FewDescriptors() {
    EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0);
    const int next = ::dup(0);
    rlimit few = before_;
    few.rlim_cur = static_cast<rlim_t>(next);
    ::close(next);
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  }
  FewDescriptors(const FewDescriptors&) = delete;
  FewDescriptors& operator=(const FewDescriptors&) = delete;
  ~FewDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

TEST(Listener, WithoutDescriptorsClientsAreTurnedAwayNotLeftHanging) {
  Harness h;
  Client one(h.port);
  Client two(h.port);
  {
    // Descriptors below may be free: the limit bounds numbers, so fill the holes first.
    std::vector<int> holes;
    const int top = ::dup(0);
    for (int fd = ::dup(0); fd < top; fd = ::dup(0))
      holes.push_back(fd);
    ::close(top + 1);
    ::close(top);
    const FewDescriptors few;
    ASSERT_TRUE(h.Until([&] {
      one.Drain();
      two.Drain();
      return (one.ended() || one.broken()) && (two.ended() || two.broken());
    }));
    for (const int fd : holes)
      ::close(fd);
  }
  EXPECT_EQ(h.recorder.opened, 0);
  EXPECT_EQ(h.connections->counts().accept_errors.value(), 2u);
  auto three = h.Connect();  // and the spare descriptor is there again
  EXPECT_EQ(h.recorder.opened, 1);
}

TEST(Listener, MoreThanOneTurnTakesAreAcceptedLater) {
  Harness h;
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 100; ++i)
    clients.push_back(std::make_unique<Client>(h.port));
  h.loop->Turn(1000);
  EXPECT_GT(h.recorder.opened, 0);
  EXPECT_LT(h.recorder.opened, 100);  // other sockets get their turn in between
  ASSERT_TRUE(h.Until([&] { return h.recorder.opened == 100; }));
}

}  // namespace
}  // namespace encke::net

#include "bus/inlet.h"

#include <filesystem>
#include <set>

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus_live/push_log.h"

namespace encke::bus {
namespace {

class Bell {
 public:
  ~Bell() { ::close(fd); }
  const int fd = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
};

class InletLive : public PushLogLive {
 protected:
  std::unique_ptr<Inlet> OpenInlet() {
    auto inlet = Inlet::Open(nats_->options(), bell_.fd);
    EXPECT_TRUE(inlet) << (inlet ? "" : inlet.error().text);
    return std::move(*inlet);
  }

  Bell bell_;
};

TEST_F(InletLive, WhatWasAskedIsAnswered) {
  const auto inlet = OpenInlet();
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(inlet->Ask("$JS.API.STREAM.NAMES", ""), NATS_OK);
    natsMsg* raw = nullptr;
    ASSERT_EQ(inlet->Next(&raw, Duration(10'000)), NATS_OK);
    const MsgHandle msg(raw);
    EXPECT_NE(DataOf(raw).find("ENCKE_PUSH"), std::string_view::npos);
  }
}

TEST_F(InletLive, TheBellEndsAWait) {
  const auto inlet = OpenInlet();
  ::eventfd_write(bell_.fd, 1);
  natsMsg* raw = nullptr;
  EXPECT_EQ(inlet->Next(&raw, Duration(3'600'000)), NATS_TIMEOUT);
}

TEST_F(InletLive, ClosingWaitsForNobody) {  // half a second each would be too much for the runner
  for (int i = 0; i < 200; ++i)
    OpenInlet();
}

TEST_F(InletLive, AKilledServerBreaksItForGood) {
  const auto inlet = OpenInlet();
  server_.Kill();
  natsMsg* raw = nullptr;
  EXPECT_EQ(inlet->Next(&raw, Duration(10'000)), NATS_CONNECTION_CLOSED);
  server_.Start();
  EXPECT_NE(inlet->Ask("$JS.API.STREAM.NAMES", ""), NATS_OK);
  EXPECT_EQ(inlet->Next(&raw, Duration(10'000)), NATS_CONNECTION_CLOSED);
}

TEST_F(InletLive, WithoutAServerThereIsNone) {
  server_.Kill();
  EXPECT_FALSE(Inlet::Open(nats_->options(), bell_.fd));
}

std::set<int> Sockets() {
  std::set<int> all;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const auto target = std::filesystem::read_symlink(entry.path(), gone).string();
    if (target.starts_with("socket:")) all.insert(std::stoi(entry.path().filename()));
  }
  return all;
}

TEST_F(InletLive, AReaderGoesOnWhenOnlyItsOwnConnectionBreaks) {
  Publisher publisher(*nats_, Log(), {});
  const std::set<int> before = Sockets();
  Read read;
  const auto reader = Open(0, 1, read);
  Store(publisher, 0, "a");
  ASSERT_TRUE(Eventually([&] { return read.count() == 1; }));
  int cut = 0;
  for (const int fd : Sockets())
    if (!before.contains(fd) && ::shutdown(fd, SHUT_RDWR) == 0) ++cut;
  EXPECT_EQ(cut, 1);
  Store(publisher, 0, "b");
  ASSERT_TRUE(Eventually([&] { return read.count() == 2; }));
  EXPECT_EQ(read.all().back().second, "body of b");
  EXPECT_EQ(reader->restarts(), 1u);
  EXPECT_EQ(nats_->counts().disconnects.value(), 0u);
}

TEST_F(InletLive, ABusyPartitionIsReadWholeAndInOrder) {
  Answers answers;
  Publisher publisher(*nats_, Log(), {});
  Read read;
  const auto reader = Open(0, 1, read);
  const int kMany = 3000;
  for (int i = 0; i < kMany; ++i) {  // closer than it looks when busy, large ones between
    publisher.Publish(0, std::to_string(i), std::string(i % 100 == 0 ? 200'000 : 10, 'x'),
                      answers.For(std::to_string(i)));
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  ASSERT_TRUE(Eventually([&] { return read.count() == kMany; }));
  const auto all = read.all();
  for (int i = 0; i < kMany; ++i) {
    ASSERT_EQ(all[static_cast<std::size_t>(i)].first, static_cast<std::uint64_t>(i) + 1);
    ASSERT_EQ(all[static_cast<std::size_t>(i)].second.size(), i % 100 == 0 ? 200'000u : 10u);
  }
  EXPECT_EQ(reader->restarts(), 0u);
}

}  // namespace
}  // namespace encke::bus

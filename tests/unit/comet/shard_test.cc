#include "comet/shard.h"

#include <gtest/gtest.h>

#include "unit/session/world.h"

namespace encke::comet {
namespace {

// A logic that lets everybody in at once, under the key that is the token.
class OpenLogic final : public uplink::LogicPort {
 public:
  explicit OpenLogic(Shards& shards) : shards_(shards) {}
  bool Arrive(Connect ask) override {
    ConnectReply reply;
    reply.set_id(ask.id());
    reply.set_key(ask.token());
    reply.set_room("room");
    reply.set_heartbeat_ms(480'000);
    reply.set_generation(generation_.fetch_add(1) + 1);
    shards_.Tell(uplink::AskId::Unpack(ask.id()).shard,
                 [reply](session::Sessions& sessions) { sessions.Answer(reply); });
    return true;
  }
  bool Ask(Request) override { return true; }
  bool Renew(Renewal) override { return true; }
  void Depart(Disconnect goodbye) override {
    goodbyes.With([&](auto& all) { all.push_back(goodbye.key()); });
  }
  bool Receive(Upstream) override { return true; }

  Guarded<std::vector<std::string>> goodbyes;

 private:
  Shards& shards_;
  std::atomic<std::uint64_t> generation_{0};
};

class ShardsTest : public testing::Test {
 protected:
  ~ShardsTest() override { shards.Stop(); }
  void Start(int count) {
    session::ShardOptions options;
    options.session.report_interval = Duration(1);
    ASSERT_TRUE(
        shards.Make(count, options, {logic, interest, directory, census, addresses, shards}));
    ASSERT_TRUE(shards.Open({{session::Transport::kTcp, "127.0.0.1:0"}}));
    shards.Start();
  }
  bool Await(const std::function<bool()>& done) {
    Pulse pulse;
    for (const std::int64_t until = MonotonicMs() + 10'000; MonotonicMs() < until;) {
      if (done()) return true;
      pulse.Wait(Duration(2));
    }
    return done();
  }
  std::unique_ptr<session::Client> Login(const std::string& key) {
    auto client = std::make_unique<session::Client>(shards.open_ports()[0]);
    client->Say(session::Packed(7, 1, key));
    return Await([&] { return client->Hear() == session::Packed(8, 1, {}); }) ? std::move(client)
                                                                              : nullptr;
  }

  downlink::Interest interest{{}};
  hub::Directory directory;
  uplink::Census census;
  session::Addresses addresses;
  Shards shards;
  OpenLogic logic{shards};
};

TEST_F(ShardsTest, OneRoomSpansThemAndAPushReachesAll) {
  Start(3);
  std::vector<std::unique_ptr<session::Client>> clients;
  for (int i = 0; i < 24; ++i) {
    clients.push_back(Login("k" + std::to_string(i)));
    ASSERT_TRUE(clients.back());
    clients.back()->Take();
  }
  EXPECT_TRUE(Await([&] { return census.Online("room") == 24; }));
  EXPECT_TRUE(shards.Ping(Duration(5'000)));
  for (downlink::ShardPort* port : shards.ports()) {
    ASSERT_TRUE(port->Post([port] {
      port->hub().PushRoom("room", 1000, "hi");
      port->FlushSoon();
    }));
  }
  for (auto& client : clients)
    EXPECT_TRUE(Await([&] { return client->Hear() == session::Packed(1000, 0, "hi"); }));
}

TEST_F(ShardsTest, OfTwoLoginsWithOneKeyOneStays) {
  Start(3);
  std::vector<std::unique_ptr<session::Client>> clients;
  for (int i = 0; i < 12; ++i) {  // spread over the shards by the kernel
    clients.push_back(Login("same"));
    ASSERT_TRUE(clients.back());
  }
  for (std::size_t i = 0; i + 1 < clients.size(); ++i)
    EXPECT_TRUE(Await([&] { return clients[i]->Closed(); })) << i;
  EXPECT_TRUE(Await([&] { return directory.size() == 1; }));
  EXPECT_FALSE(clients.back()->Closed());
  EXPECT_EQ(logic.goodbyes.With([](auto& all) { return all.size(); }), 11u);
}

TEST_F(ShardsTest, DrainClosesAllAndSaysGoodbyeForEach) {
  Start(2);
  std::vector<std::unique_ptr<session::Client>> clients;
  for (int i = 0; i < 8; ++i)
    clients.push_back(Login("k" + std::to_string(i)));
  shards.Drain(Duration(10'000));
  EXPECT_EQ(logic.goodbyes.With([](auto& all) { return all.size(); }), 8u);
  for (auto& client : clients)
    EXPECT_TRUE(Await([&] { return client->Closed(); }));
  EXPECT_EQ(directory.size(), 0u);
}

TEST_F(ShardsTest, APortInUseIsRefused) {
  Start(2);
  Shards others;
  ASSERT_TRUE(others.Make(2, {}, {logic, interest, directory, census, addresses, others}));
  const auto opened = others.Open(
      {{session::Transport::kTcp, "127.0.0.1:" + std::to_string(shards.open_ports()[0])}});
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().text.find("tcp.listen"), std::string::npos);
}

}  // namespace
}  // namespace encke::comet

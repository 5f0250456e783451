#include "uplink/logic_link.h"

#include <set>

#include <gtest/gtest.h>

#include "base/threads.h"
#include "rpc/server.h"
#include "rpc/streams.h"

namespace encke::uplink {
namespace {

bool Await(const std::function<bool()>& done) {
  Pulse pulse;
  for (const std::int64_t until = MonotonicMs() + 10'000; MonotonicMs() < until;) {
    if (done()) return true;
    pulse.Wait(Duration(2));
  }
  return done();
}

// A logic on a loopback port: remembers what it is told, answers what it is told to.
class Logic {
 public:
  struct Heard {
    std::string comet;
    std::vector<Connect> asks;
    std::vector<std::string> goodbyes;
    std::vector<std::string> renewals;
    std::map<std::string, int> counts;
    int snapshots = 0;
    int streams = 0;
    int packages = 0;
    std::vector<SessionDown> replies;
    std::vector<std::shared_ptr<rpc::StreamHandle>> handles;
  };

  explicit Logic(bool answers) : answers_(answers) {
    service_ = rpc::MakeSessionService([this](std::shared_ptr<rpc::StreamHandle> handle) {
      heard_.With([&](Heard& h) {
        ++h.streams;
        h.handles.push_back(handle);
      });
      return std::make_shared<User>(*this, std::move(handle));
    });
    server_ = std::move(*rpc::Server::Start({}, {service_.get()}));
  }
  ~Logic() { Stop(); }

  void Stop() {
    auto handles = heard_.With([](Heard& h) { return std::exchange(h.handles, {}); });
    for (auto& handle : handles)
      handle->Close();
    server_->Stop(Duration(0));
  }
  void Say(SessionDown down) {
    auto handle = heard_.With([&](Heard& h) {
      h.replies.push_back(std::move(down));
      return h.handles.back();
    });
    handle->Kick();
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(server_->port()); }
  template <class F>
  auto With(F&& act) {
    return heard_.With(std::forward<F>(act));
  }

 private:
  class User final : public rpc::SessionServerUser {
   public:
    User(Logic& logic, std::shared_ptr<rpc::StreamHandle> handle)
        : logic_(logic), handle_(std::move(handle)) {}
    bool Fill(SessionDown* out) override {
      return logic_.heard_.With([&](Heard& h) {
        if (h.replies.empty()) return false;
        *out = std::move(h.replies.front());
        h.replies.erase(h.replies.begin());
        return true;
      });
    }
    void OnMessage(const SessionUp& up) override {
      logic_.heard_.With([&](Heard& h) { logic_.Take(up, &h); });
      handle_->Kick();
    }
    void OnClosed(const std::string&) override {}

   private:
    Logic& logic_;
    std::shared_ptr<rpc::StreamHandle> handle_;
  };

  void Take(const SessionUp& up, Heard* h) const {
    if (!up.comet().empty()) h->comet = up.comet();
    if (up.counts().snapshot()) {
      ++h->snapshots;
      h->counts.clear();
    }
    for (const auto& [room, count] : up.counts().counts())
      h->counts[room] = count;
    for (const auto& goodbye : up.disconnects())
      h->goodbyes.push_back(goodbye.key());
    for (const auto& renewal : up.renewals())
      h->renewals.push_back(renewal.key());
    h->packages += up.upstreams_size();
    SessionDown down;
    for (const auto& ask : up.connects()) {
      h->asks.push_back(ask);
      ConnectReply* reply = down.add_connects();
      reply->set_id(ask.id());
      reply->set_key("key" + std::to_string(ask.id()));
    }
    if (answers_ && down.connects_size() > 0) h->replies.push_back(std::move(down));
  }

  const bool answers_;
  Guarded<Heard> heard_;
  std::shared_ptr<grpc::Service> service_;
  std::unique_ptr<rpc::Server> server_;
};

class LinkTest : public testing::Test {
 protected:
  void Start(LogicLinkOptions options = {}) {
    options.comet = "c1";
    options.report_interval = Duration(10);
    link = std::make_unique<LogicLink>(options, census);
    link->Start({.answer =
                     [this](ConnectReply reply) {
                       answers.With([&](auto& all) { all.push_back(std::move(reply)); });
                     },
                 .announce = [this] { announced.Add(); }});
  }
  ~LinkTest() override {
    if (link) link->Stop();
  }
  bool Ask(std::uint64_t id) {
    Connect ask;
    ask.set_id(id);
    ask.set_token("{}");
    return link->Arrive(std::move(ask));
  }
  std::size_t answered() {
    return answers.With([](auto& all) { return all.size(); });
  }

  Census census;
  Guarded<std::vector<ConnectReply>> answers;
  Counter announced;
  std::unique_ptr<LogicLink> link;
};

TEST_F(LinkTest, SaysWhoWeAreAndCarriesEveryKindOfEvent) {
  Logic logic(true);
  census.Add("room", 3);
  Start();
  EXPECT_FALSE(link->Receive({})) << "without a stream a package is dropped";
  link->SetAddresses({logic.address()});
  ASSERT_TRUE(Await([&] { return link->up(); }));
  ASSERT_TRUE(Ask(1));
  ASSERT_TRUE(link->Receive({}));
  Renewal renewal;
  renewal.set_key("r");
  ASSERT_TRUE(link->Renew(renewal));
  link->Depart(GoodbyeOf(1, "gone", 5));
  EXPECT_TRUE(Await([&] { return answered() == 1; }));
  EXPECT_TRUE(Await([&] { return logic.With([](auto& h) { return h.goodbyes.size() == 1; }); }));
  logic.With([](auto& h) {
    EXPECT_EQ(h.comet, "c1");
    EXPECT_EQ(h.snapshots, 1);
    EXPECT_EQ(h.counts["room"], 3);
    EXPECT_EQ(h.renewals, std::vector<std::string>{"r"});
    EXPECT_EQ(h.packages, 1);
  });
  EXPECT_TRUE(link->Flush(Duration(1000)));
}

TEST_F(LinkTest, CountsGoUpAsDifferencesAndTotalsComeDown) {
  Logic logic(true);
  Start();
  link->SetAddresses({logic.address()});
  ASSERT_TRUE(Await([&] { return link->up(); }));
  census.Add("room", 2);
  EXPECT_TRUE(Await([&] { return logic.With([](auto& h) { return h.counts["room"] == 2; }); }));
  SessionDown down;
  (*down.mutable_totals()->mutable_counts())["room"] = 9;
  down.set_announce(true);
  logic.Say(down);
  EXPECT_TRUE(Await([&] { return census.Online("room") == 9 && announced.value() == 1; }));
  census.Add("room", -2);
  EXPECT_TRUE(Await([&] {
    return logic.With([](auto& h) { return h.counts.contains("room") && h.counts["room"] == 0; });
  }));
}

TEST_F(LinkTest, AsksAnotherLogicWhenTheStreamBreaks) {
  auto mute = std::make_unique<Logic>(false);
  Logic other(true);
  census.Add("room", 1);
  Start();
  link->SetAddresses({mute->address()});
  for (std::uint64_t id = 1; id <= 3; ++id)
    ASSERT_TRUE(Ask(id));
  link->Depart(GoodbyeOf(1, "gone", 5));
  ASSERT_TRUE(Await([&] {
    return mute->With([](auto& h) { return h.asks.size() == 3 && h.goodbyes.size() == 1; });
  }));
  link->SetAddresses({mute->address(), other.address()});
  mute.reset();
  EXPECT_TRUE(Await([&] { return answered() == 3; }));
  other.With([](auto& h) {
    EXPECT_EQ(h.asks.size(), 3u);
    EXPECT_EQ(h.goodbyes, std::vector<std::string>{"gone"});
    EXPECT_EQ(h.snapshots, 1);
    EXPECT_EQ(h.counts["room"], 1);
  });
  EXPECT_EQ(link->stats().breaks.value(), 1u);
}

TEST_F(LinkTest, LeavesALogicThatIsSilent) {
  Logic mute(false), other(true);
  Start({.comet = {}, .answer_timeout = Duration(100)});
  link->SetAddresses({mute.address()});
  ASSERT_TRUE(Ask(1));
  ASSERT_TRUE(Await([&] { return mute.With([](auto& h) { return h.asks.size() == 1; }); }));
  link->SetAddresses({mute.address(), other.address()});
  EXPECT_TRUE(Await([&] { return answered() == 1; }));
  EXPECT_GE(link->stats().moves_silent.value(), 1u);
}

TEST_F(LinkTest, LeavesALogicThatLeft) {
  Logic first(true), second(true);
  Start();
  link->SetAddresses({first.address()});
  ASSERT_TRUE(Await([&] { return link->up(); }));
  link->SetAddresses({second.address()});
  EXPECT_TRUE(Await([&] { return second.With([](auto& h) { return h.snapshots == 1; }); }));
  link->SetAddresses({});
  ASSERT_TRUE(Ask(1));
  EXPECT_TRUE(Await([&] { return answered() == 1; })) << "an empty registry is no reason to leave";
  EXPECT_EQ(link->stats().moves_left.value(), 1u);
}

TEST_F(LinkTest, GivesUpAConnectNobodyAnswers) {
  Start({.comet = {}, .connect_timeout = Duration(50)});
  ASSERT_TRUE(Ask(77));
  ASSERT_TRUE(Await([&] { return answered() == 1; }));
  answers.With([](auto& all) {
    EXPECT_EQ(all[0].id(), 77u);
    EXPECT_FALSE(all[0].refused().empty());
    EXPECT_TRUE(all[0].retry());
  });
}

}  // namespace
}  // namespace encke::uplink

#include "bus/registry.h"

#include <atomic>

#include "base/threads.h"
#include "bus/kv.h"
#include "bus_live/live.h"

namespace encke::bus {
namespace {

// A daemon as the registry sees it, on a connection of its own.
class Daemon {
 public:
  Daemon(std::unique_ptr<Nats> nats, const RegistryOptions& options, const std::string& id)
      : nats_(std::move(nats)), registry_(*nats_, options) {
    self_.With([&](Instance& self) {
      self.set_kind("comet");
      self.set_id(id);
      self.set_boot(1);
    });
    registry_.Announce([this] { return self_.With([](const Instance& self) { return self; }); });
  }
  template <class F>
  void Change(F&& change) {
    self_.With(change);
    registry_.AnnounceNow();
  }
  Registry& registry() { return registry_; }

 private:
  std::unique_ptr<Nats> nats_;
  Guarded<Instance> self_;
  Registry registry_;
};

class RegistryLive : public LiveTest {
 protected:
  RegistryLive() : kv_(*nats_, "encke_registry", Duration(2000)) {
    EXPECT_TRUE(nats_->EnsureBuckets(1));
  }

  static RegistryOptions Quick() {
    RegistryOptions options;
    options.put_interval = Duration(200);
    options.expire = Duration(1000);
    options.distrust = Duration(3000);
    return options;
  }
  std::unique_ptr<Daemon> Run(const std::string& id) {
    return std::make_unique<Daemon>(Connect(), Quick(), id);
  }
  // A daemon that is killed right after it said that it lives.
  void PutOnce(const std::string& id, const std::string& address) {
    Instance self;
    self.set_grpc(address);
    self.set_kind("comet");
    self.set_id(id);
    EXPECT_TRUE(kv_.Put(fleet::RegistryKey("comet", id), self.SerializeAsString()));
  }
  void PutOnce(const std::string& id) { PutOnce(id, server_.url().substr(7)); }  // it answers
  static std::string Names(const std::vector<Instance>& list) {
    std::string names;
    for (const Instance& instance : list)
      names += instance.id();
    return names;
  }
  static bool Sees(const Registry& registry, const std::string& names) {
    return Eventually([&] { return Names(registry.List("comet")) == names; });
  }

  Kv kv_;
};

TEST_F(RegistryLive, EverybodySeesEverybody) {
  const auto a = Run("a");
  const auto b = Run("b");
  EXPECT_TRUE(Sees(a->registry(), "ab"));
  EXPECT_TRUE(Sees(b->registry(), "ab"));
  const auto c = Run("c");
  EXPECT_TRUE(Eventually([&] { return c->registry().synced(); }));
  EXPECT_TRUE(Sees(c->registry(), "abc"));
  EXPECT_TRUE(c->registry().List("job").empty());
}

TEST_F(RegistryLive, TheFirstPictureIsThereBeforeAnybodyPutsAgain) {
  PutOnce("a");
  PutOnce("b.with:odd*id");
  EXPECT_TRUE(kv_.Delete(fleet::RegistryKey("comet", "gone")));
  RegistryOptions slow = Quick();
  slow.expire = Duration(60'000);
  Registry registry(*nats_, slow);
  std::atomic<int> calls{0};
  Guarded<std::string> names;
  registry.Watch("comet", [&](const std::vector<Instance>& list) {
    names.With([&](std::string& text) { text = Names(list); });
    ++calls;
  });
  ASSERT_TRUE(Eventually([&] { return calls == 1; }));
  EXPECT_EQ(names.With([](std::string& text) { return text; }), "ab.with:odd*id");
}

TEST_F(RegistryLive, WatchersHearOfWhatMattersOnly) {
  const auto a = Run("a");
  Registry registry(*nats_, Quick());
  Guarded<std::vector<std::string>> heard;
  registry.Watch("comet", [&](const std::vector<Instance>& list) {
    std::string line = Names(list);
    for (const Instance& instance : list)
      line += instance.offline() ? "-" : "+";
    heard.With([&](auto& lines) { lines.push_back(line); });
  });
  const auto last = [&] { return heard.With([](auto& l) { return l.empty() ? "" : l.back(); }); };
  ASSERT_TRUE(Eventually([&] { return last() == "a+"; }));
  a->Change([](Instance& self) { self.set_conn_count(1000); });
  ASSERT_TRUE(Eventually([&] { return registry.List("comet")[0].conn_count() == 1000; }));
  a->Change([](Instance& self) { self.set_offline(true); });
  ASSERT_TRUE(Eventually([&] { return last() == "a-"; }));
  a->registry().Withdraw();
  ASSERT_TRUE(Eventually([&] { return last().empty(); }));
  const auto lines = heard.With([](auto& l) { return l; });
  EXPECT_EQ(std::vector<std::string>(lines.end() - 3, lines.end()),
            (std::vector<std::string>{"a+", "a-", ""}));
}

TEST_F(RegistryLive, AGoodbyeIsSeenAtOnceAndIsTheLastWord) {
  const auto a = Run("a");
  auto b = Run("b");
  ASSERT_TRUE(Sees(a->registry(), "ab"));
  const std::int64_t started_ms = MonotonicMs();
  b.reset();
  EXPECT_TRUE(Sees(a->registry(), "a"));
  EXPECT_LT(MonotonicMs() - started_ms, Quick().expire.count());
  auto entry = kv_.Get(fleet::RegistryKey("comet", "b"));
  ASSERT_TRUE(entry);
  EXPECT_TRUE(entry->deleted);
}

TEST_F(RegistryLive, ADeadDaemonExpires) {
  const auto a = Run("a");
  const auto b = Run("b");
  PutOnce("x");
  ASSERT_TRUE(Sees(a->registry(), "abx"));
  EXPECT_TRUE(Sees(a->registry(), "ab"));
}

TEST_F(RegistryLive, AMassacreIsDistrustedForAWhile) {
  const auto a = Run("a");
  ASSERT_TRUE(Sees(a->registry(), "a"));
  for (const char* id : {"x", "y", "z"})
    PutOnce(id);
  ASSERT_TRUE(Sees(a->registry(), "axyz"));
  const std::int64_t started_ms = MonotonicMs();
  EXPECT_TRUE(Sees(a->registry(), "a"));
  EXPECT_GT(MonotonicMs() - started_ms, Quick().distrust.count());
}

TEST_F(RegistryLive, ADeadProcessIsNotDistrusted) {
  const auto a = Run("a");
  ASSERT_TRUE(Sees(a->registry(), "a"));
  PutOnce("x", "127.0.0.1:1");  // refuses
  PutOnce("y", "127.0.0.1:1");
  ASSERT_TRUE(Sees(a->registry(), "axy"));
  const std::int64_t started_ms = MonotonicMs();
  EXPECT_TRUE(Sees(a->registry(), "a"));
  EXPECT_LT(MonotonicMs() - started_ms, Quick().distrust.count());
}

TEST_F(RegistryLive, AnOutageOfTheServerKillsNobody) {
  std::atomic<int> calls{0};  // the watch below may call until its registry ends
  const auto a = Run("a");
  const auto b = Run("b");
  ASSERT_TRUE(Sees(a->registry(), "ab"));
  a->registry().Watch("comet", [&](const std::vector<Instance>&) { ++calls; });
  ASSERT_TRUE(Eventually([&] { return calls == 1; }));
  server_.Kill();
  std::this_thread::sleep_for(Quick().expire * 3 / 2);
  server_.Start();
  std::this_thread::sleep_for(Quick().expire * 3 / 2);
  EXPECT_EQ(Names(a->registry().List("comet")), "ab");
  EXPECT_EQ(calls, 1);
  const auto c = Run("c");  // the bucket has survived the kill
  EXPECT_TRUE(Sees(c->registry(), "abc"));
}

}  // namespace
}  // namespace encke::bus

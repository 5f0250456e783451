#include "fleet/roster.h"

#include <gtest/gtest.h>

namespace encke::fleet {
namespace {

constexpr std::int64_t kExpire = 6000;
constexpr std::int64_t kDistrust = 60'000;

class RosterTest : public testing::Test {
 protected:
  static Instance Comet(const std::string& id) {
    Instance instance;
    instance.set_kind("comet");
    instance.set_id(id);
    return instance;
  }
  void Hear(const std::string& id) { roster_.Heard(RegistryKey("comet", id), Comet(id), now_); }
  void HearAll(std::initializer_list<const char*> ids) {
    for (const char* id : ids)
      Hear(id);
  }
  std::string Names() const {
    std::string names;
    for (const Instance& instance : roster_.List("comet"))
      names += instance.id();
    return names;
  }
  // Lets time pass in puts of `ids`.
  void Live(std::int64_t ms, std::initializer_list<const char*> ids) {
    for (const std::int64_t end = now_ + ms; now_ < end; now_ += 500) {
      if (now_ % 2000 == 0) HearAll(ids);
      doubted_ += roster_.Expire(now_);
    }
  }

  std::int64_t now_ = 0;
  int doubted_ = 0;
  Roster roster_{RegistryOptions{}};
};

TEST_F(RosterTest, OneOfManyExpires) {
  HearAll({"a", "b", "c"});
  Live(kExpire - 500, {"a", "b"});
  EXPECT_EQ(Names(), "abc");
  Live(1500, {"a", "b"});
  EXPECT_EQ(Names(), "ab");
  EXPECT_EQ(doubted_, 0);
}

TEST_F(RosterTest, HalfMayVanish) {
  HearAll({"a", "b", "c", "d"});
  Live(kExpire + 1000, {"a", "b"});
  EXPECT_EQ(Names(), "ab");
}

TEST_F(RosterTest, MoreThanHalfIsDistrusted) {
  HearAll({"a", "b", "c"});
  Live(kExpire + 1000, {"a"});
  EXPECT_EQ(Names(), "abc");
  EXPECT_EQ(doubted_, 2);
  Live(kDistrust - 2000, {"a"});
  EXPECT_EQ(Names(), "abc");
  Live(3000, {"a"});
  EXPECT_EQ(Names(), "a");
}

TEST_F(RosterTest, AMassacreIsNoticedThoughTheLastPutsWereNotTogether) {
  Hear("a");
  now_ += 700;
  Hear("b");
  now_ += 600;
  Hear("c");
  now_ += 600;
  Hear("d");
  for (int i = 0; i < 40; ++i, now_ += 250)
    doubted_ += roster_.Expire(now_);
  EXPECT_EQ(Names(), "abcd");
  EXPECT_EQ(doubted_, 4);
}

TEST_F(RosterTest, WhoeverIsFoundDeadIsNotDistrusted) {
  HearAll({"a", "b"});
  now_ += kExpire - 500;
  EXPECT_TRUE(roster_.Suspects(now_).empty());
  now_ += 500;
  const auto suspects = roster_.Suspects(now_);
  ASSERT_EQ(suspects.size(), 2u);
  EXPECT_EQ(suspects[0].id(), "a");
  EXPECT_EQ(roster_.Expire(now_, {RegistryKey("comet", "a")}), 1);
  EXPECT_EQ(Names(), "b");
  EXPECT_TRUE(roster_.Suspects(now_).empty());  // asked once
}

TEST_F(RosterTest, ThoseWhoComeBackAreBelieved) {
  HearAll({"a", "b", "c"});
  Live(kExpire + 1000, {"a"});
  now_ += 1000;
  Live(kDistrust + 10'000, {"a", "b", "c"});
  EXPECT_EQ(Names(), "abc");
}

TEST_F(RosterTest, GoodbyesAreNeverDistrusted) {
  HearAll({"a", "b", "c"});
  for (const char* id : {"a", "b", "c"})
    roster_.Goodbye(RegistryKey("comet", id));
  EXPECT_EQ(Names(), "");
}

TEST_F(RosterTest, NobodyExpiresWhileWeAreDeaf) {
  HearAll({"a", "b", "c"});
  now_ = 100'000;
  roster_.Deaf(now_);
  EXPECT_EQ(roster_.Expire(now_), 0);
  now_ += kExpire - 1;
  EXPECT_EQ(roster_.Expire(now_), 0);
  EXPECT_EQ(Names(), "abc");
}

TEST_F(RosterTest, KindsAreJudgedApart) {
  Instance job;
  job.set_kind("job");
  job.set_id("j");
  roster_.Heard(RegistryKey("job", "j"), job, 0);
  HearAll({"a", "b", "c"});
  Live(kExpire + 1000, {"a", "b", "c"});
  EXPECT_EQ(Names(), "abc");
  EXPECT_EQ(roster_.List("job").size(), 1u);  // the only one: more than half of its kind
}

TEST_F(RosterTest, ThePictureIgnoresCountsAndSeesTheRest) {
  Instance comet = Comet("a");
  const std::string key = RegistryKey("comet", "a");
  roster_.Heard(key, comet, 0);
  std::string before = roster_.Picture("comet");
  comet.set_conn_count(7);
  comet.set_updated_ns(8);
  roster_.Heard(key, comet, 0);
  EXPECT_EQ(roster_.Picture("comet"), before);
  EXPECT_EQ(roster_.List("comet")[0].conn_count(), 7);
  const auto changes = [&](auto change) {
    change(comet);
    roster_.Heard(key, comet, 0);
    const std::string after = roster_.Picture("comet");
    return std::exchange(before, after) != after;
  };
  EXPECT_TRUE(changes([](Instance& i) { i.set_boot(2); }));
  EXPECT_TRUE(changes([](Instance& i) { i.set_offline(true); }));
  EXPECT_TRUE(changes([](Instance& i) { i.set_grpc("127.0.0.1:3109"); }));
  EXPECT_TRUE(changes([](Instance& i) { i.add_addrs("10.0.0.1"); }));
  EXPECT_TRUE(changes([&](Instance&) { Hear("b"); }));
  EXPECT_FALSE(changes([](Instance& i) { i.set_weight(10); }));
}

TEST(RegistryKeyOf, KeepsIdsApartAndWithinTheAlphabet) {
  EXPECT_EQ(RegistryKey("comet", "c-1_A"), "comet.c-1_A");
  EXPECT_EQ(RegistryKey("comet", "host.example:1"), "comet.host=2Eexample=3A1");
  EXPECT_NE(RegistryKey("comet", "a b"), RegistryKey("comet", "a=20b"));
}

}  // namespace
}  // namespace encke::fleet

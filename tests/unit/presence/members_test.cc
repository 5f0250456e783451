#include "presence/members.h"

#include <optional>

#include <gtest/gtest.h>

namespace encke::presence {
namespace {

class MembersTest : public ::testing::Test {
 protected:
  MembersTest()
      : members({[this]() -> Result<std::vector<Instance>> {
                   if (!synced) return Error{Errc::kUnavailable, "not yet"};
                   return comets;
                 },
                 [this](const std::string& address, const MembersAsk& ask, auto done) {
                   asked.push_back(address + " " + ask.room() + " " + ask.after());
                   answers.push_back(std::move(done));
                 }}) {}
  void Comet(const std::string& id) {
    Instance comet;
    comet.set_id(id);
    comet.set_grpc("at-" + id);
    comets.push_back(comet);
  }
  static MembersTold Told(const std::vector<std::string>& keys, bool more = false) {
    MembersTold told;
    for (const std::string& key : keys) {
      told.add_members()->set_key(key);
      told.mutable_members()->rbegin()->set_mid(static_cast<std::int64_t>(key.size()));
    }
    told.set_more(more);
    return told;
  }
  void Read(std::size_t limit) {
    page.reset();
    members.Read("live://1", "k", limit, [this](Result<MemberPage> read) { page = read; });
  }
  std::string Text() const {
    if (!page) return "none yet";
    if (!*page) return page->error().text;
    std::string text;
    for (const MemberPage::One& one : (*page)->members)
      text += one.key + "@" + one.comet + " ";
    return text + ((*page)->more ? "more" : "all");
  }

  bool synced = true;
  std::vector<Instance> comets;
  std::vector<std::string> asked;
  std::vector<std::function<void(Result<MembersTold>)>> answers;
  std::optional<Result<MemberPage>> page;
  Members members;
};

TEST_F(MembersTest, TheSmallestKeysOfAllComets) {
  Comet("a");
  Comet("b");
  Read(3);
  EXPECT_EQ(asked, (std::vector<std::string>{"at-a live://1 k", "at-b live://1 k"}));
  answers[1](Told({"k2", "k4", "k6"}));
  EXPECT_EQ(Text(), "none yet");
  answers[0](Told({"k1", "k3"}));
  EXPECT_EQ(Text(), "k1@a k2@b k3@a more");
}

TEST_F(MembersTest, ThereIsMoreWhenAnyCometHasMore) {
  Comet("a");
  Comet("b");
  Read(3);
  answers[0](Told({"k1"}));
  answers[1](Told({"k2"}, true));
  EXPECT_EQ(Text(), "k1@a k2@b more");
  Read(3);
  answers[2](Told({"k1", "k2"}));
  answers[3](Told({"k2"}));
  EXPECT_EQ(Text(), "k1@a k2@a all");  // a connection that moves is in the room once
}

TEST_F(MembersTest, HalfARoomIsNotTold) {
  Comet("a");
  Comet("b");
  Read(3);
  answers[0](Error{Errc::kTimeout, "silent"});
  answers[1](Told({"k2"}));
  EXPECT_EQ(Text(), "comet a: silent");
  synced = false;
  Read(3);
  EXPECT_EQ(Text(), "not yet");
  EXPECT_EQ(members.counts().failed.value(), 2u);
}

TEST_F(MembersTest, NoCometIsAnEmptyRoom) {
  Read(3);
  EXPECT_EQ(Text(), "all");
}

TEST_F(MembersTest, TooManyAtOnceAreRefusedAndCounted) {
  Comet("a");
  for (int i = 0; i < Members::kUnderWayMax; ++i)
    Read(1);
  Read(1);
  EXPECT_EQ(page->error().code, Errc::kOverloaded);
  EXPECT_EQ(members.counts().busy.value(), 1u);
  answers[0](Told({}));
  Read(1);
  EXPECT_EQ(Text(), "none yet");
}

}  // namespace
}  // namespace encke::presence

// clients/cpp against our sessions: order, a hole, a lost connection, a publish, a kick.

#include <gtest/gtest.h>

#include "clients/cpp/client.h"
#include "unit/session/two_client.h"

namespace encke::session {
namespace {

struct CppClient : testing::Test {
  TwoWorld world;
  std::string story;
  client::Client client{
      {.addresses = {"127.0.0.1:" + std::to_string(world.tcp)},
       .token = "{}",
       .device = "d1",
       .backoff_first_ms = 1,
       .seed = 1},
      {.push = [this](const client::Push& push) { story += push.body() + " "; },
       .down = [this](const std::string& why) { story += "down(" + why + ") "; },
       .published = [this](const client::PublishReply& reply) { story += reply.id() + " "; }}};

  bool Until(const std::function<bool()>& done) {
    return world.Until([&] {
      client.OnReady();
      client.Tick(MonotonicMs());
      return done();
    });
  }
  // Logic lets it in; the heads of what it asks for are these.
  bool LetIn(std::uint64_t seq) {
    if (!Until([&] { return !world.logic.asks.empty(); })) return false;
    world.Admits("k1");
    if (!Until([&] { return !world.logic.requests.empty(); })) return false;
    world.AnswerHeads(1, seq);
    return Until([&] { return client.up(); });
  }
  Request Asked() {
    Until([&] { return !world.logic.requests.empty(); });
    return world.TakeRequest();
  }
  void AnswerFetch(const Request& request, std::uint64_t to) {
    encke::Reply answer;
    answer.set_id(request.id());
    answer.mutable_fetched()->set_epoch(1);
    answer.mutable_fetched()->set_newest(to);
    for (std::uint64_t seq = request.fetch().after() + 1; seq <= to; ++seq) {
      PushMsg push;
      push.set_epoch(1);
      push.set_seq(seq);
      push.set_msg(std::to_string(seq));
      answer.mutable_fetched()->add_pushes(push.SerializeAsString());
    }
    world.sessions->Hear(answer);
  }
};

TEST_F(CppClient, DeliversInOrderOverAHoleAndAReconnect) {
  client.Join("group://1");
  ASSERT_TRUE(LetIn(5));
  world.Push("group://1", "6", 6);
  world.Push("group://1", "8", 8);
  Request request = Asked();
  while (!request.has_fetch()) {  // its first beat may come between
    world.logic.requests.push_back(request);
    world.AnswerHeads(1, 8);
    request = Asked();
  }
  EXPECT_EQ(request.fetch().after(), 6U);
  AnswerFetch(request, 7);
  ASSERT_TRUE(Until([&] { return story == "6 7 8 "; })) << story;
  world.sessions->connections().Close(world.directory.Find("k1")[0].slot);
  ASSERT_TRUE(LetIn(10));
  const Request resume = Asked();
  EXPECT_EQ(resume.fetch().after(), 8U);  // by the server, from the cursor it was given
  AnswerFetch(resume, 10);
  ASSERT_TRUE(Until([&] { return story == "6 7 8 down(closed) 9 10 "; })) << story;
  EXPECT_EQ(client.cursor("group://1").seq(), 10U);
}

TEST_F(CppClient, APublishIsSaidUntilItIsAnswered) {
  client.Join("group://1");
  client::Publish publish;
  publish.set_room("group://1");
  publish.set_op(1000);
  publish.set_client_id("c1");
  ASSERT_TRUE(client.Say(publish));  // before it is up
  ASSERT_TRUE(LetIn(1));
  const auto next = [this] {
    Request request = Asked();
    while (!request.has_publish())
      request = Asked();
    return request;
  };
  encke::Reply away;
  away.set_id(next().id());
  away.set_error("Redis is away");
  away.set_retry(true);
  world.sessions->Hear(away);
  encke::Reply done;
  const Request again = next();
  EXPECT_EQ(again.publish().client_id(), "c1");
  done.set_id(again.id());
  done.mutable_published()->set_push_id("p1");
  world.sessions->Hear(done);
  EXPECT_TRUE(Until([&] { return story == "p1 "; })) << story;
}

TEST_F(CppClient, WhoIsKickedDoesNotComeBack) {
  ASSERT_TRUE(LetIn(0));
  world.sessions->Kick(world.directory.Find("k1")[0].slot, "spam");
  ASSERT_TRUE(Until([&] { return client.over(); }));
  EXPECT_EQ(story, "down(kicked: spam) ");
  for (int i = 0; i < 10; ++i) {
    world.Turn();
    client.Tick(MonotonicMs() + 60'000);
  }
  EXPECT_EQ(client.fd(), -1);
}

}  // namespace
}  // namespace encke::session

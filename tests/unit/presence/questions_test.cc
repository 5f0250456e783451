#include "unit/presence/door_world.h"

namespace encke::presence {
namespace {

TEST_F(SessionDoorTest, QuestionsAreAnsweredByIdAndBounded) {
  SessionDoorOptions options = Options();
  options.asks_max = 2;
  Make(options);
  SessionUp up = FromComet();
  for (int id = 1; id <= 3; ++id)
    up.add_requests()->set_id(static_cast<std::uint64_t>(id));
  stream_->OnMessage(up);
  EXPECT_EQ(ports_.TakeStory(), "ask 1\nask 2\n");
  const SessionDown busy = Filled();
  ASSERT_EQ(busy.replies_size(), 1);
  EXPECT_EQ(busy.replies(0).id(), 3u);
  EXPECT_TRUE(busy.replies(0).retry());
  Reply reply;
  reply.set_id(1);
  ports_.asks[0](reply);
  EXPECT_EQ(Filled().replies(0).id(), 1u);
  stream_->OnMessage(up);  // one may go now
  EXPECT_EQ(ports_.TakeStory(), "ask 1\n");
  EXPECT_EQ(door_->counts().asks_busy.value(), 3u);
}

TEST_F(SessionDoorTest, OtherPackagesOfClientsAreHeard) {
  SessionUp up = FromComet();
  up.add_upstreams()->set_op(1234);
  stream_->OnMessage(up);
  EXPECT_EQ(ports_.heard, std::vector<int>{1234});
}

TEST_F(SessionDoorTest, ReportsNameTheStartOfTheirComet) {
  SessionUp up = FromComet();
  up.set_boot(42);
  stream_->OnMessage(up);
  SessionUp later;
  later.add_reports()->set_id("p1");
  stream_->OnMessage(later);
  EXPECT_EQ(ports_.TakeStory(), "count p1 c1 42\n");
}

TEST_F(SessionDoorTest, RoomsAskedForAreSortedIntoAllowedAndNot) {
  SessionUp up = Connecting({{1, R"({"mid":5,"key":"k","room_id":"","accepts":[]})"}});
  for (const char* room : {"live://1", "user://5", "nonsense", "live://2"})
    up.mutable_connects(0)->add_rooms(room);
  stream_->OnMessage(up);
  const SessionDown down = Filled();
  ASSERT_EQ(down.connects_size(), 1);
  EXPECT_EQ(down.connects(0).refused(), "");
  EXPECT_EQ(down.connects(0).rooms_size(), 2);
  EXPECT_EQ(down.connects(0).rooms(1), "live://2");
  EXPECT_EQ(down.connects(0).rooms_refused_size(), 2);
}

TEST_F(SessionDoorTest, AnInboxIsNoRoom) {
  stream_->OnMessage(Connecting({{1, R"({"mid":5,"key":"k","room_id":"user://6","accepts":[]})"}}));
  EXPECT_NE(Filled().connects(0).refused(), "");
  EXPECT_EQ(ports_.TakeStory(), "");
}

}  // namespace
}  // namespace encke::presence

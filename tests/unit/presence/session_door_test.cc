#include "unit/presence/door_world.h"

namespace encke::presence {
namespace {

TEST_F(SessionDoorTest, ALoginIsStoredBeforeItIsAnswered) {
  ports_.at_once = false;
  stream_->OnMessage(
      Connecting({{7, R"({"mid":5,"key":"k","room_id":"live://1","accepts":[1000,1001]})"}}));
  EXPECT_EQ(ports_.TakeStory(), "arrive 5 k@c1\n");
  EXPECT_TRUE(Silent());
  ports_.AnswerArrival(42);
  EXPECT_EQ(handle_->kicks, 1);
  const SessionDown down = Filled();
  ASSERT_EQ(down.connects_size(), 1);
  EXPECT_EQ(down.connects(0).ShortDebugString(),
            "id: 7 mid: 5 key: \"k\" room: \"live://1\" accepts: 1000 accepts: 1001 "
            "heartbeat_ms: 480000 generation: 42");
  EXPECT_TRUE(Silent());
}

TEST_F(SessionDoorTest, AnswersGatherInOneMessage) {
  stream_->OnMessage(Connecting({{1, "{}"}, {2, "bad"}, {3, R"({"key":"x"})"}}));
  const SessionDown down = Filled();
  ASSERT_EQ(down.connects_size(), 3);
  EXPECT_EQ(down.connects(0).key().size(), 36u);
  EXPECT_EQ(down.connects(1).refused(), "malformed");
  EXPECT_FALSE(down.connects(1).retry());
  EXPECT_EQ(down.connects(2).key(), "x");
  EXPECT_EQ(door_->counts().arrived.value(), 2u);
  EXPECT_EQ(door_->counts().refused.value(), 1u);
}

TEST_F(SessionDoorTest, WithoutRedisTheClientMayTryAgain) {
  ports_.at_once = false;
  stream_->OnMessage(Connecting({{1, "{}"}}));
  ports_.arrivals.front()(Error{Errc::kUnavailable, "Redis is away"});
  const SessionDown down = Filled();
  EXPECT_EQ(down.connects(0).refused(), "Redis is away");
  EXPECT_TRUE(down.connects(0).retry());
}

TEST_F(SessionDoorTest, MoreLoginsThanItsBoundAreTurnedAway) {
  SessionDoorOptions options = Options();
  options.connects_max = 2;
  Make(options);
  ports_.at_once = false;
  stream_->OnMessage(Connecting({{1, "{}"}, {2, "{}"}, {3, "{}"}}));
  const SessionDown down = Filled();
  ASSERT_EQ(down.connects_size(), 1);
  EXPECT_EQ(down.connects(0).id(), 3u);
  EXPECT_TRUE(down.connects(0).retry());
  ports_.AnswerArrival(1);
  stream_->OnMessage(Connecting({{4, "{}"}}));
  EXPECT_EQ(ports_.arrivals.size(), 2u);
}

TEST_F(SessionDoorTest, AStreamThatDoesNotTakeItsAnswersIsCut) {
  SessionDoorOptions options = Options();
  options.answer_bytes_max = 1000;
  Make(options);
  for (int i = 0; i < 20; ++i)
    stream_->OnMessage(Connecting({{i, "{}"}}));
  EXPECT_TRUE(handle_->closed);
  EXPECT_EQ(door_->counts().streams_cut.value(), 1u);
}

TEST_F(SessionDoorTest, ALoginNobodyHearsOfIsUndone) {
  ports_.at_once = false;
  stream_->OnMessage(Connecting({{1, R"({"mid":5,"key":"k"})"}}));
  stream_->OnClosed("test");
  ports_.TakeStory();
  ports_.AnswerArrival(9);
  EXPECT_EQ(ports_.TakeStory(), "depart 5 k@c1 #9\n");
  EXPECT_EQ(door_->counts().undone.value(), 1u);
}

TEST_F(SessionDoorTest, RenewalsAndGoodbyesArePassedOn) {
  SessionUp up = FromComet();
  auto* renewal = up.add_renewals();
  renewal->set_mid(1);
  renewal->set_key("a");
  renewal->set_generation(3);
  auto* goodbye = up.add_disconnects();
  goodbye->set_key("b");
  goodbye->set_generation(4);
  up.add_upstreams()->set_body("hello");
  stream_->OnMessage(up);
  EXPECT_EQ(ports_.TakeStory(), "renew 1 a@c1 #3\ndepart 0 b@c1 #4\n");
  ports_.renewals.front()(Error{Errc::kConflict, "a newer login"});
  EXPECT_EQ(door_->counts().renew_outdated.value(), 1u);
  EXPECT_EQ(door_->counts().upstream_messages.value(), 1u);
  EXPECT_EQ(door_->counts().upstream_bytes.value(), 5u);
  EXPECT_TRUE(Silent());
}

TEST_F(SessionDoorTest, AStreamMustSayWhoItIs) {
  stream_->OnMessage(SessionUp());
  EXPECT_TRUE(handle_->closed);
  EXPECT_EQ(ports_.TakeStory(), "");
}

TEST_F(SessionDoorTest, ReportsFollowEachOther) {
  stream_->OnMessage(Counting(true, {{"a", 1}, {"b", 2}}));
  stream_->OnMessage(Counting(false, {{"a", 3}}));
  stream_->OnMessage(Counting(false, {{"a", 0}, {"c", 1}}));
  EXPECT_EQ(ports_.TakeStory(), "snapshot c1 a=1 b=2\n");
  ports_.AnswerReport(Ok{});
  EXPECT_EQ(ports_.TakeStory(), "report c1 a=0 c=1\n");
  ports_.AnswerReport(Ok{});
  EXPECT_EQ(ports_.TakeStory(), "");
}

TEST_F(SessionDoorTest, AFailedReportIsToldAgainUnderWhatIsNewer) {
  const Error away{Errc::kUnavailable, "Redis is away"};
  stream_->OnMessage(Counting(true, {{"a", 1}, {"b", 2}}));
  stream_->OnMessage(Counting(false, {{"a", 5}}));
  ports_.TakeStory();
  ports_.AnswerReport(away);
  EXPECT_EQ(ports_.TakeStory(), "");  // at the next tick
  door_->Tick();
  EXPECT_EQ(ports_.TakeStory(), "snapshot c1 a=5 b=2\n");
  ports_.AnswerReport(Ok{});
  stream_->OnMessage(Counting(false, {{"b", 0}}));
  ports_.AnswerReport(away);
  stream_->OnMessage(Counting(false, {{"c", 1}}));
  ports_.TakeStory();
  door_->Tick();
  EXPECT_EQ(ports_.TakeStory(), "report c1 b=0 c=1\n");
}

TEST_F(SessionDoorTest, TheTableOfAQuietCometIsKeptAlive) {
  SessionDoorOptions options = Options();
  options.online_expire = Duration(0);
  Make(options);
  door_->Tick();
  EXPECT_EQ(ports_.TakeStory(), "");  // it has no table yet
  stream_->OnMessage(Counting(true, {{"a", 1}}));
  ports_.AnswerReport(Ok{});
  ports_.TakeStory();
  door_->Tick();
  door_->Tick();  // one at a time
  EXPECT_EQ(ports_.TakeStory(), "report c1\n");
  ports_.AnswerReport(Ok{});
  stream_->OnClosed("test");
  door_->Tick();
  EXPECT_EQ(ports_.TakeStory(), "");
}

TEST_F(SessionDoorTest, TotalsOfTheRoomsOfACometComeBackWhenTheyChange) {
  stream_->OnMessage(Counting(true, {{"a", 1}, {"b", 2}}));
  ports_.rooms = std::make_shared<const RoomTable>(RoomTable{{"a", 10}, {"x", 7}});
  door_->Tick();
  EXPECT_EQ(TotalsIn(Filled()), (std::map<std::string, int>{{"a", 10}}));
  door_->Tick();
  EXPECT_TRUE(Silent());
  ports_.rooms = std::make_shared<const RoomTable>(RoomTable{{"a", 10}, {"b", 3}, {"x", 8}});
  door_->Tick();
  EXPECT_EQ(TotalsIn(Filled()), (std::map<std::string, int>{{"b", 3}}));
  // A room that comes is told its total although the table is the same.
  stream_->OnMessage(Counting(false, {{"x", 1}, {"a", 0}}));
  door_->Tick();
  EXPECT_EQ(TotalsIn(Filled()), (std::map<std::string, int>{{"x", 8}}));
  stream_->OnMessage(Counting(false, {{"a", 1}}));
  door_->Tick();
  EXPECT_EQ(TotalsIn(Filled()), (std::map<std::string, int>{{"a", 10}}));
  ports_.rooms = std::make_shared<const RoomTable>();
  door_->Tick();
  EXPECT_EQ(TotalsIn(Filled()), (std::map<std::string, int>{{"a", 0}, {"b", 0}, {"x", 0}}));
}

TEST_F(SessionDoorTest, ALostMemoryIsAnnouncedOnceAndCountsAreToldAgain) {
  ports_.memory = {"first", Duration(3'600'000)};
  stream_->OnMessage(Counting(true, {{"a", 1}}));
  ports_.AnswerReport(Ok{});
  stream_->OnMessage(Counting(false, {{"b", 2}}));
  ports_.AnswerReport(Ok{});
  ports_.TakeStory();
  door_->Tick();
  EXPECT_TRUE(Silent());
  EXPECT_EQ(ports_.TakeStory(), "");
  ports_.memory = {"second", Duration(5)};
  door_->Tick();
  EXPECT_TRUE(Filled().announce());
  EXPECT_EQ(ports_.TakeStory(), "snapshot c1 a=1 b=2\n");
  door_->Tick();
  EXPECT_TRUE(Silent());
}

TEST_F(SessionDoorTest, AStreamThatComesSoonAfterALossIsToldToo) {
  ports_.memory = {"young", Duration(60'000)};
  door_->Tick();
  EXPECT_TRUE(Silent());  // it has not said who it is
  stream_->OnMessage(FromComet());
  EXPECT_TRUE(Filled().announce());
  stream_->OnMessage(FromComet());
  EXPECT_TRUE(Silent());
}

TEST_F(SessionDoorTest, NobodyIsToldWhenRedisIsSure) {
  ports_.memory = {"old", Duration(31 * 60'000)};
  door_->Tick();
  stream_->OnMessage(FromComet());
  EXPECT_TRUE(Silent());
  EXPECT_EQ(door_->counts().announces.value(), 0u);
}

TEST_F(SessionDoorTest, RedisThatIsAwayIsNotALoss) {
  stream_->OnMessage(FromComet());
  door_->Tick();
  EXPECT_TRUE(Silent());
}

TEST_F(SessionDoorTest, CloseEndsStreamsAndTakesNoNewOnes) {
  EXPECT_FALSE(door_->Close(Duration(0)));
  EXPECT_TRUE(handle_->closed);
  EXPECT_EQ(door_->Accept(std::make_shared<FakeHandle>()), nullptr);
  stream_->OnClosed("test");
  EXPECT_TRUE(door_->Close(Duration(0)));
  EXPECT_EQ(door_->counts().streams.value(), 0);
}

}  // namespace
}  // namespace encke::presence

#include "timeline/asks.h"

#include <gtest/gtest.h>

#include "api/push.pb.h"

#include "support/await.h"
#include "support/redis_server.h"

namespace encke::timeline {
namespace {

using test::Await;

TimelinePlan PlanWithLive() {
  TimelinePlan plan;
  plan.types["live"].hot.messages = 5;
  return plan;
}

class AsksLive : public ::testing::Test {
 protected:
  AsksLive()
      : redis_(OptionsFor(server_)),
        timelines_(redis_),
        history_(timelines_, plan_),
        asks_(timelines_, history_, plan_, [](const Request& request, const Asks::Answer& done) {
          Reply reply;
          reply.mutable_published()->set_push_id("for " + request.publish().client_id());
          done(std::move(reply));
        }) {}

  static store::RedisOptions OptionsFor(const test::RedisServer& server) {
    store::RedisOptions options;
    options.address = server.address();
    options.timeout = Duration(5000);
    return options;
  }
  std::uint64_t Say(const std::string& name, int count) {  // answers the epoch
    std::uint64_t epoch = 0;
    for (int i = 0; i < count; ++i) {
      PushMsg push;
      push.set_msg("m" + std::to_string(++said_));
      Await<Result<store::Timelines::Appended>> answer;
      timelines_.Append({name, "id" + std::to_string(said_), push.SerializeAsString(),
                         plan_.Of(name)->hot, false},
                        answer.Callback());
      epoch = answer.Get()->epoch;
    }
    return epoch;
  }
  Reply Ask(const Request& request) {
    Await<Reply> answer;
    asks_.Ask(request, answer.Callback());
    Reply reply = answer.Get();
    EXPECT_EQ(reply.id(), request.id());
    return reply;
  }
  static Request From(std::int64_t mid, const std::string& device = "") {
    Request request;
    request.set_id(77);
    request.set_mid(mid);
    request.set_device(device);
    return request;
  }
  Reply Fetch(const std::string& name,
              std::uint64_t epoch,
              std::uint64_t after,
              std::uint32_t limit = 0) {
    Request request = From(1);
    request.mutable_fetch()->set_timeline(name);
    request.mutable_fetch()->set_epoch(epoch);
    request.mutable_fetch()->set_after(after);
    request.mutable_fetch()->set_limit(limit);
    return Ask(request);
  }
  static std::string Words(const Reply& reply) {
    std::string words;
    for (const std::string& bytes : reply.fetched().pushes()) {
      PushMsg push;
      EXPECT_TRUE(push.ParseFromString(bytes));
      EXPECT_EQ(push.epoch(), reply.fetched().epoch());
      words += std::to_string(push.seq()) + push.msg() + " ";
    }
    return words;
  }

  test::RedisServer server_;
  store::Redis redis_;
  store::Timelines timelines_;
  const TimelinePlan plan_ = PlanWithLive();
  History history_;
  Asks asks_;
  int said_ = 0;
};

TEST_F(AsksLive, HeadsOfWhatIsKeptAndOfWhatIsNot) {
  const std::uint64_t live = Say("live://1", 7);
  Say("user://5", 2);
  Request request = From(5, "phone");
  for (const char* name : {"live://1", "other://1", "user://5", "user://6", "live://new"})
    request.mutable_heads()->add_timelines(name);
  const Reply reply = Ask(request);
  EXPECT_EQ(reply.error(), "");
  ASSERT_EQ(reply.heads().heads_size(), 5);
  const Head& room = reply.heads().heads(0);
  EXPECT_TRUE(room.kept());
  EXPECT_EQ(room.epoch(), live);
  EXPECT_EQ(room.seq(), 7u);
  EXPECT_EQ(room.oldest(), 3u);
  EXPECT_FALSE(reply.heads().heads(1).kept());
  EXPECT_EQ(reply.heads().heads(1).timeline(), "other://1");
  EXPECT_EQ(reply.heads().heads(2).seq(), 2u);
  EXPECT_FALSE(reply.heads().heads(3).kept());  // somebody else's
  EXPECT_TRUE(reply.heads().heads(4).kept());
  EXPECT_GT(reply.heads().heads(4).epoch(), 0u);
  EXPECT_EQ(reply.heads().heads(4).seq(), 0u);
}

// Somebody who has number 0 has a position like any other.
TEST_F(AsksLive, WhatFollowsNumberZeroIsToldOrCalledLost) {
  const std::uint64_t before = Fetch("live://1", 1, 0).fetched().epoch();
  EXPECT_FALSE(Fetch("live://1", before, 0).fetched().reload());
  EXPECT_EQ(Say("live://1", 2), before);
  EXPECT_EQ(Words(Fetch("live://1", before, 0)), "1m1 2m2 ");
  EXPECT_FALSE(Fetch("live://1", before, 0).fetched().reload());
  Say("live://1", 5);  // 3 to 7 are kept
  EXPECT_TRUE(Fetch("live://1", before, 0).fetched().reload());
  Await<Result<store::Reply>> answer;
  redis_.Call({"FLUSHALL"}, answer.Callback());
  ASSERT_TRUE(answer.Get());
  const Reply lost = Fetch("live://1", before, 0);
  EXPECT_TRUE(lost.fetched().reload());
  EXPECT_GT(lost.fetched().epoch(), before);
  EXPECT_FALSE(Fetch("live://1", lost.fetched().epoch(), 0).fetched().reload());
}

TEST_F(AsksLive, NumberZeroOfTheDayBeforeIsNumberZeroOfToday) {
  constexpr std::uint64_t kDayUs = 86'400'000'000;
  Fetch("live://1", 1, 0);
  Await<Result<store::Reply>> answer;
  redis_.Call({"HINCRBY", "tlw", "b", "-900000000000"}, answer.Callback());
  ASSERT_TRUE(answer.Get());
  const std::uint64_t today = Fetch("live://1", 1, 0).fetched().epoch();
  const Reply empty = Fetch("live://1", today - kDayUs, 0);
  EXPECT_FALSE(empty.fetched().reload());
  EXPECT_EQ(empty.fetched().epoch(), today);
  EXPECT_EQ(Say("live://1", 2), today);
  const Reply said = Fetch("live://1", today - kDayUs, 0);
  EXPECT_FALSE(said.fetched().reload());
  EXPECT_EQ(Words(said), "1m1 2m2 ");
  EXPECT_TRUE(Fetch("live://1", today - 2 * kDayUs, 0).fetched().reload());
}

TEST_F(AsksLive, NoHeadsAndTooManyHeads) {
  Request request = From(5);
  request.mutable_heads();
  EXPECT_TRUE(Ask(request).has_heads());
  for (int i = 0; i <= Asks::kHeadsMax; ++i)
    request.mutable_heads()->add_timelines("live://1");
  EXPECT_NE(Ask(request).error(), "");
}

TEST_F(AsksLive, WhatWasMissedComesInOrderWithItsNumbers) {
  const std::uint64_t epoch = Say("live://1", 4);
  const Reply all = Fetch("live://1", epoch, 1);
  EXPECT_EQ(Words(all), "2m2 3m3 4m4 ");
  EXPECT_FALSE(all.fetched().more());
  EXPECT_FALSE(all.fetched().reload());
  EXPECT_EQ(all.fetched().newest(), 4u);
  const Reply some = Fetch("live://1", epoch, 0, 2);
  EXPECT_EQ(Words(some), "1m1 2m2 ");
  EXPECT_TRUE(some.fetched().more());
  EXPECT_EQ(Words(Fetch("live://1", epoch, 4)), "");
}

TEST_F(AsksLive, WhatIsGoneMustBeReloaded) {
  const std::uint64_t epoch = Say("live://1", 8);  // 4 to 8 are kept
  EXPECT_FALSE(Fetch("live://1", epoch, 3).fetched().reload());
  const Reply old = Fetch("live://1", epoch, 2);
  EXPECT_TRUE(old.fetched().reload());
  EXPECT_EQ(Words(old), "4m4 5m5 6m6 7m7 8m8 ");
  const Reply other = Fetch("live://1", epoch - 1, 8);
  EXPECT_TRUE(other.fetched().reload());
  EXPECT_EQ(other.fetched().epoch(), epoch);
  EXPECT_EQ(Words(other), "");
  EXPECT_TRUE(other.fetched().more());
  const Reply fresh = Fetch("live://1", 0, 0);  // who knows nothing misses nothing
  EXPECT_FALSE(fresh.fetched().reload());
  EXPECT_EQ(Words(fresh), "4m4 5m5 6m6 7m7 8m8 ");
  EXPECT_EQ(asks_.counts().reloads.value(), 2u);
}

TEST_F(AsksLive, NoTimelineAndForeignInboxesAreRefused) {
  EXPECT_EQ(Fetch("other://1", 0, 0).error(), "timeline: is none, or not yours");
  EXPECT_EQ(Fetch("user://2", 0, 0).error(), "timeline: is none, or not yours");
  EXPECT_FALSE(Fetch("user://2", 0, 0).retry());
  EXPECT_EQ(Fetch("user://1", 0, 0).error(), "");
}

TEST_F(AsksLive, CursorsMoveAndNeedADevice) {
  const std::uint64_t epoch = Say("user://1", 3);
  Request cursor = From(1, "phone");
  cursor.mutable_cursor()->set_epoch(epoch);
  cursor.mutable_cursor()->set_seq(2);
  EXPECT_TRUE(Ask(cursor).ok());
  EXPECT_EQ(Words(Fetch("user://1", epoch, 0)), "3m3 ");
  cursor.mutable_cursor()->set_epoch(epoch + 1);
  EXPECT_EQ(Ask(cursor).error(), "another epoch");
  EXPECT_FALSE(Ask(cursor).retry());
  cursor.clear_device();
  EXPECT_NE(Ask(cursor).error(), "");
}

TEST_F(AsksLive, PublishesGoElsewhereAndUnknownQuestionsAreRefused) {
  Request publish = From(1);
  publish.mutable_publish()->set_client_id("c1");
  EXPECT_EQ(Ask(publish).published().push_id(), "for c1");
  EXPECT_NE(Ask(From(1)).error(), "");
}

TEST_F(AsksLive, ARedisThatIsAwayMayComeBack) {
  redis_.Stop();
  const Reply reply = Fetch("live://1", 0, 0);
  EXPECT_NE(reply.error(), "");
  EXPECT_TRUE(reply.retry());
  Request heads = From(1);
  heads.mutable_heads()->add_timelines("live://1");
  EXPECT_TRUE(Ask(heads).retry());
}

}  // namespace
}  // namespace encke::timeline

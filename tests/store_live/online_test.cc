#include "store/online.h"

#include <gtest/gtest.h>

#include "support/await.h"
#include "support/redis_server.h"

namespace encke::store {
namespace {

using test::Await;
using test::RedisServer;

class OnlineLive : public ::testing::Test {
 protected:
  OnlineLive() : redis_(OptionsFor(server_)), online_(redis_, Duration(60'000)) {}

  static RedisOptions OptionsFor(const RedisServer& server) {
    RedisOptions options;
    options.address = server.address();
    options.timeout = Duration(5000);
    return options;
  }
  void Report(const char* comet, bool snapshot, const RoomTable& changes) {
    Await<Status> answer;
    online_.Report(ServerId(comet), snapshot, changes, answer.Callback());
    EXPECT_TRUE(answer.Get());
  }
  Online::Table Read(const char* comet, std::int64_t known) {
    Await<Result<Online::Table>> answer;
    online_.Read(ServerId(comet), known, answer.Callback());
    return *answer.Get();
  }
  std::int64_t Ttl(const char* name) {
    Await<Result<Reply>> answer;
    redis_.Call({"PTTL", name}, answer.Callback());
    return answer.Get()->integer;
  }

  RedisServer server_;
  Redis redis_;
  Online online_;
};

TEST_F(OnlineLive, ASnapshotReplacesAndDeltasChange) {
  Report("c1", true, {{"live://1", 3}, {"live://2", 1}});
  EXPECT_EQ(Read("c1", -1).seen.rooms, (RoomTable{{"live://1", 3}, {"live://2", 1}}));
  Report("c1", false, {{"live://2", 0}, {"live://3", 7}});
  EXPECT_EQ(Read("c1", -1).seen.rooms, (RoomTable{{"live://1", 3}, {"live://3", 7}}));
  Report("c1", true, {{"live://9", 1}});
  EXPECT_EQ(Read("c1", -1).seen.rooms, (RoomTable{{"live://9", 1}}));
  Report("c1", true, {});
  EXPECT_TRUE(Read("c1", -1).seen.rooms.empty());
}

TEST_F(OnlineLive, AKnownVersionIsNotSentAgain) {
  EXPECT_FALSE(Read("c1", -1).changed);
  Report("c1", true, {{"r", 1}});
  const auto first = Read("c1", -1);
  ASSERT_TRUE(first.changed);
  EXPECT_FALSE(Read("c1", first.seen.version).changed);
  Report("c1", false, {{"r", 2}});
  const auto second = Read("c1", first.seen.version);
  ASSERT_TRUE(second.changed);
  EXPECT_GT(second.seen.version, first.seen.version);
}

TEST_F(OnlineLive, AnEmptyReportOnlyKeepsTheTableAlive) {
  Report("c1", true, {{"r", 1}});
  const auto first = Read("c1", -1);
  Await<Result<Reply>> shortened;
  redis_.Call({"PEXPIRE", "ol_c1", "5000"}, shortened.Callback());
  ASSERT_TRUE(shortened.Get());
  Report("c1", false, {});
  EXPECT_GT(Ttl("ol_c1"), 5000);
  EXPECT_GT(Ttl("olv_c1"), 5000);
  EXPECT_FALSE(Read("c1", first.seen.version).changed);
}

TEST_F(OnlineLive, ATableThatVanishedIsSeenAsEmpty) {
  Report("c1", true, {{"r", 1}});
  const auto first = Read("c1", -1);
  Await<Result<Reply>> flushed;
  redis_.Call({"FLUSHALL"}, flushed.Callback());
  ASSERT_TRUE(flushed.Get());
  const auto gone = Read("c1", first.seen.version);
  EXPECT_TRUE(gone.changed);
  EXPECT_EQ(gone.seen.version, -1);
  EXPECT_TRUE(gone.seen.rooms.empty());
}

TEST_F(OnlineLive, ALargeReportLeavesInPieces) {
  RoomTable rooms;
  for (int i = 0; i < 5001; ++i)
    rooms["live://" + std::to_string(i)] = i + 1;
  Report("c1", true, {{"old", 1}});
  Report("c1", true, rooms);
  EXPECT_EQ(Read("c1", -1).seen.rooms, rooms);
}

}  // namespace
}  // namespace encke::store

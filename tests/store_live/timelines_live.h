#pragma once
// TimelinesLive: timelines in a redis-server of the test's own.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "store/timelines.h"
#include "support/await.h"
#include "support/redis_server.h"

namespace encke::store {

inline constexpr Duration kDay{std::chrono::hours(24)};

class TimelinesLive : public ::testing::Test {
 protected:
  explicit TimelinesLive(bool append_only = false)
      : server_(test::RedisServer::Options{.append_only = append_only, .password = {}}),
        redis_(OptionsFor(server_)),
        timelines_(redis_) {}

  static RedisOptions OptionsFor(const test::RedisServer& server) {
    RedisOptions options;
    options.address = server.address();
    options.timeout = Duration(5000);
    return options;
  }
  Timelines::Appended Append(const std::string& name,
                             const std::string& id,
                             const std::string& payload,
                             const TimelineLimits& limits = {},
                             bool retry = false) {
    test::Await<Result<Timelines::Appended>> answer;
    timelines_.Append({name, id, payload, limits, retry}, answer.Callback());
    auto got = answer.Get();
    EXPECT_TRUE(got) << got.error().text;
    return *got;
  }
  TimelineHead Head(const std::string& name, const std::string& device = "", Duration age = kDay) {
    test::Await<Result<TimelineHead>> answer;
    timelines_.ReadHead(name, age, device, answer.Callback());
    return *answer.Get();
  }
  TimelinePage Read(const std::string& name, const Timelines::Range& range, Duration age = kDay) {
    test::Await<Result<TimelinePage>> answer;
    timelines_.Read(name, age, range, answer.Callback());
    return *answer.Get();
  }
  std::vector<std::uint64_t> Numbers(const std::string& name, const Timelines::Range& range = {}) {
    std::vector<std::uint64_t> numbers;
    for (const TimelineEntry& entry : Read(name, range).entries)
      numbers.push_back(entry.seq);
    return numbers;
  }
  std::uint64_t FindTime(const std::string& name, std::int64_t time_ms) {
    test::Await<Result<std::uint64_t>> answer;
    timelines_.FindTime(name, time_ms, answer.Callback());
    return *answer.Get();
  }
  Status Acknowledge(const std::string& device, std::uint64_t epoch, std::uint64_t seq) {
    test::Await<Status> answer;
    timelines_.Acknowledge({"user://1", device, epoch, seq}, kDay, answer.Callback());
    return answer.Get();
  }
  Reply Call(std::vector<std::string> command) {
    test::Await<Result<Reply>> answer;
    redis_.Call(std::move(command), answer.Callback());
    return *answer.Get();
  }
  // Entries age by being rewritten with an older time: the tests do not wait.
  void Age(const std::string& name, std::uint64_t upto, std::int64_t by_ms) {
    constexpr char kAge[] =
        "local all = redis.call('XRANGE', KEYS[1], '-', '+') redis.call('DEL', KEYS[1]) "
        "for _, e in ipairs(all) do local t = tonumber(e[2][4]) "
        "if tonumber(string.match(e[1], '^%d+')) <= tonumber(ARGV[1]) then t = t - ARGV[2] end "
        "redis.call('XADD', KEYS[1], e[1], 'p', e[2][2], 't', string.format('%.0f', t), 'i', "
        "e[2][6]) end";
    Call({"EVAL", kAge, "1", "tl:" + name, std::to_string(upto), std::to_string(by_ms)});
  }

  test::RedisServer server_;
  Redis redis_;
  Timelines timelines_;
};

}  // namespace encke::store

// The HTTP side: requests, which caller sends which push, and answers.

#include <map>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "http/caller.h"
#include "http/requests.h"

namespace encke::bench {
namespace {

std::string RequestLine(const Options& o, const std::string& route, std::uint32_t group) {
  std::string out;
  AppendRequest(o, route, group, Stamp(), &out);
  return out.substr(0, out.find("\r\n"));
}

TEST(Requests, NameTheirTargets) {
  Options o;
  o.rooms = 5;
  o.targets = 2;
  o.mid_base = 100;
  EXPECT_EQ(RequestLine(o, "room", 3),
            "POST /goim/push/room?operation=1000&type=bench&room=1-3 HTTP/1.1");
  EXPECT_EQ(RequestLine(o, "mids", 3),
            "POST /goim/push/mids?operation=1000&mids=106&mids=107 HTTP/1.1");
  EXPECT_EQ(RequestLine(o, "keys", 0),
            "POST /goim/push/keys?operation=1000&keys=bench-100&keys=bench-101 HTTP/1.1");
  EXPECT_EQ(RequestLine(o, "all", 0), "POST /goim/push/all?operation=1000 HTTP/1.1");
  o.rooms = 0;
  o.room = "live://a b&c";
  EXPECT_EQ(RequestLine(o, "room", 0),
            "POST /goim/push/room?operation=1000&type=live&room=a%20b%26c HTTP/1.1");
}

TEST(Requests, CarryTheKeyAndTheWholeBody) {
  Options o;
  o.api_key = "secret";
  o.body = 60;
  std::string out;
  AppendRequest(o, "all", 0, Stamp(), &out);
  EXPECT_NE(out.find("Authorization: Bearer secret\r\n"), std::string::npos);
  EXPECT_NE(out.find("Content-Length: 60\r\n"), std::string::npos);
  EXPECT_EQ(out.size() - out.find("\r\n\r\n") - 4, 60U);
}

TEST(Requests, ABatchIsAListOfPushesToRooms) {
  Options o;
  o.rooms = 2;
  o.body = 25;  // one byte over a multiple of three
  Stamp stamp;
  stamp.sequence = 77;
  std::string out;
  AppendBatchRequest(o, {{0, stamp}, {1, stamp}}, &out);
  EXPECT_TRUE(out.starts_with("POST /v1/pushes:batch HTTP/1.1\r\n"));
  const std::string text = out.substr(out.find("\r\n\r\n") + 4);
  EXPECT_NE(out.find("Content-Length: " + std::to_string(text.size()) + "\r\n"), std::string::npos);
  const auto body = nlohmann::json::parse(text);
  ASSERT_EQ(body["pushes"].size(), 2U);
  EXPECT_EQ(body["pushes"][0]["room"], "bench://1-0");
  EXPECT_EQ(body["pushes"][1]["room"], "bench://1-1");
  EXPECT_EQ(body["pushes"][1]["op"], 1000);
  const std::string coded = body["pushes"][0]["body_base64"];
  EXPECT_EQ(coded.size(), 36U);
  EXPECT_EQ(coded.substr(0, 4), "RW5C") << "EnB";
  EXPECT_EQ(coded.substr(32), "Lg==") << "one dot";
}

// Every push has its own place, every stream has one caller and no gap in its sequence.
void ExpectAllPlaces(std::uint32_t groups, std::uint32_t callers, std::uint32_t batch) {
  const Layout layout(groups, callers);
  std::map<std::uint32_t, std::uint32_t> owner;
  std::map<std::uint32_t, std::uint32_t> next;
  std::uint32_t streams = 0;
  for (std::uint32_t c = 0; c < callers; ++c) {
    ASSERT_GT(layout.StreamsOf(c), 0U);
    streams += layout.StreamsOf(c);
    for (std::uint64_t m = 0; m < std::uint64_t{batch} * layout.StreamsOf(c) * 3; ++m) {
      const Place place = PlaceOf(layout, c, m, batch);
      ASSERT_LT(place.stream, layout.streams());
      EXPECT_EQ(owner.try_emplace(place.stream, c).first->second, c);
      EXPECT_EQ(place.sequence, next[place.stream]++);
      EXPECT_LT(layout.GroupOf(place.stream), groups);
    }
  }
  EXPECT_EQ(streams, layout.streams());
  EXPECT_EQ(owner.size(), layout.streams());
  for (const auto& [stream, count] : next)
    EXPECT_EQ(count, 3 * batch) << "all streams have the same share";
}

TEST(Requests, EveryPushHasItsPlace) {
  ExpectAllPlaces(1, 1, 1);
  ExpectAllPlaces(1, 4, 1);
  ExpectAllPlaces(10, 16, 1);
  ExpectAllPlaces(10, 16, 20);
  ExpectAllPlaces(100, 3, 5);
}

TEST(Answers, AreReadWholeAndOneAtATime) {
  const std::string fine =
      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\ncontent-length: 23\r\n\r\n"
      "{\"code\":0,\"message\":\"\"}";
  EXPECT_EQ(ReadAnswer(fine + fine).size, fine.size());
  EXPECT_TRUE(ReadAnswer(fine).accepted);
  EXPECT_FALSE(ReadAnswer(fine).last);
  for (std::size_t n = 0; n < fine.size(); ++n)
    EXPECT_EQ(ReadAnswer(fine.substr(0, n)).size, 0U);
}

TEST(Answers, OnlyCodeZeroIsAccepted) {
  const std::string bad =
      "HTTP/1.1 200 OK\r\nContent-Length: 26\r\n\r\n{\"code\":-400,\"message\":\"\"}";
  EXPECT_EQ(ReadAnswer(bad).size, bad.size());
  EXPECT_FALSE(ReadAnswer(bad).accepted);
  const std::string batch =
      "HTTP/1.1 200 OK\r\nContent-Length: 22\r\n\r\n{\"results\":[{\"id\":7}]}";
  EXPECT_TRUE(ReadAnswer(batch).accepted);
  const std::string half =
      "HTTP/1.1 200 OK\r\nContent-Length: 34\r\n\r\n{\"results\":[{\"id\":7},{\"error\":1}]}";
  EXPECT_FALSE(ReadAnswer(half).accepted);
  const std::string refused =
      "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
  EXPECT_EQ(ReadAnswer(refused).size, refused.size());
  EXPECT_FALSE(ReadAnswer(refused).accepted);
  EXPECT_TRUE(ReadAnswer(refused).last);
}

}  // namespace
}  // namespace encke::bench

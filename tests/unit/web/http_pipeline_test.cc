// Several requests of one connection under way.

#include <string>
#include <vector>

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "unit/web/http_server_fixture.h"
#include "web/http_connection.h"

namespace encke::web {
namespace {

std::string Together(int first, int last) {
  std::string all;
  for (int i = first; i <= last; ++i)
    all += Get(fmt::format("/together?{}", i));
  return all;
}

class HttpPipelineTest : public HttpServerTest {
 protected:
  // The next `count` of them, in the order in which they came to the handler.
  Waiting Await(int count) {
    Waiting all;
    while (all.size() < static_cast<std::size_t>(count)) {
      for (auto& one : TakeWaiting(taken_ + 1)) {
        all.push_back(std::move(one));
        ++taken_;
      }
    }
    return all;
  }

 private:
  int taken_ = 0;
};

TEST_F(HttpPipelineTest, RequestsOfOneRouteAreBegunTogetherAndAnsweredInOrder) {
  RawClient client(Serve());
  ASSERT_TRUE(client.Send(Together(0, 9)));
  const Waiting all = Await(10);
  for (int i = 9; i >= 0; --i) {
    EXPECT_EQ(all[static_cast<std::size_t>(i)].first, std::to_string(i));  // came in order
    all[static_cast<std::size_t>(i)].second.Send(Text(fmt::format("answer {}", i)));
  }
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(client.Read().body, fmt::format("answer {}", i));
  EXPECT_EQ(server->counts().answer_us.count(), 10U);
}

TEST_F(HttpPipelineTest, NoMoreThanTheLimitAreUnderWay) {
  HttpOptions options;
  options.pipeline_max = 2;
  RawClient client(Serve(options));
  ASSERT_TRUE(client.Send(Together(0, 4)));
  Waiting all = Await(2);
  all[1].second.Send(Text("1"));  // the first one is still in its place
  all[0].second.Send(Text("0"));
  EXPECT_EQ(client.Read().body, "0");
  EXPECT_EQ(client.Read().body, "1");
  all = Await(2);
  EXPECT_EQ(server->counts().requests.value(), 4U);
  all[0].second.Send(Text("2"));
  all[1].second.Send(Text("3"));
  Await(1)[0].second.Send(Text("4"));
  for (const char* body : {"2", "3", "4"})
    EXPECT_EQ(client.Read().body, body);
}

TEST_F(HttpPipelineTest, AnotherRouteWaitsAndIsWaitedFor) {
  RawClient client(Serve());
  ASSERT_TRUE(client.Send(Together(0, 1) + Post("/echo", "x") + Together(2, 3)));
  Waiting first = Await(2);
  EXPECT_EQ(server->counts().requests.value(), 2U);
  first[1].second.Send(Text("1"));
  first[0].second.Send(Text("0"));
  EXPECT_EQ(client.Read().body, "0");
  EXPECT_EQ(client.Read().body, "1");
  EXPECT_EQ(client.Read().body, "POST /echo  x");
  Waiting second = Await(2);
  second[1].second.Send(Text("3"));
  second[0].second.Send(Text("2"));
  EXPECT_EQ(client.Read().body, "2");
  EXPECT_EQ(client.Read().body, "3");
}

TEST_F(HttpPipelineTest, ABadRequestIsRefusedBehindTheAnswersBeforeIt) {
  const std::pair<std::string, int> cases[] = {
      {"rubbish\r\n\r\n", 400},
      {"GET /big?1 HTTP/1.1\r\n\r\n", 400},  // no host
      {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n", 413},
      {"GET /big?1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501}};
  const auto port = Serve();
  for (const auto& [bad, status] : cases) {
    RawClient client(port);
    ASSERT_TRUE(client.Send(Together(0, 1) + bad + Together(2, 2)));
    const Waiting all = Await(2);
    all[1].second.Send(Text("1"));
    all[0].second.Send(Text("0"));
    EXPECT_EQ(client.Read().body, "0");
    const RawReply last = client.Read();
    EXPECT_EQ(last.body, "1");
    EXPECT_EQ(last.head.find("Connection: close"), std::string::npos);
    const RawReply refused = client.Read();
    EXPECT_EQ(refused.status, status);
    EXPECT_NE(refused.head.find("Connection: close"), std::string::npos);
    EXPECT_TRUE(client.AtEnd());
  }
  EXPECT_EQ(server->counts().requests.value(), 8U);  // what came behind was never begun
}

TEST_F(HttpPipelineTest, WhatFollowsTheLastRequestIsNotBegun) {
  const auto port = Serve();
  const std::string closing = "GET /together?1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  for (const std::string& last : {closing, std::string("GET /together?1 HTTP/1.0\r\n\r\n")}) {
    RawClient client(port);
    ASSERT_TRUE(client.Send(Together(0, 0) + last + Together(2, 2)));
    const Waiting all = Await(2);
    all[1].second.Send(Text("1"));
    all[0].second.Send(Text("0"));
    EXPECT_EQ(client.Read().head.find("Connection: close"), std::string::npos);
    const RawReply reply = client.Read();
    EXPECT_EQ(reply.body, "1");
    EXPECT_NE(reply.head.find("Connection: close"), std::string::npos);
    EXPECT_TRUE(client.AtEnd());
  }
  EXPECT_EQ(server->counts().requests.value(), 4U);
}

TEST_F(HttpPipelineTest, AClientThatShutsItsHalfGetsItsAnswers) {
  const auto port = Serve();
  RawClient client(port);
  ASSERT_TRUE(client.Send(Together(0, 1) + Post("/echo", "x") + Get("/later") + Get("/big?300000") +
                          Get("/big?300001") + "GET /half"));
  ASSERT_EQ(shutdown(client.fd(), SHUT_WR), 0);
  const Waiting all = Await(2);
  all[1].second.Send(Text("1"));
  all[0].second.Send(Text("0"));
  EXPECT_EQ(client.Read().body, "0");
  EXPECT_EQ(client.Read().body, "1");
  EXPECT_EQ(client.Read().body, "POST /echo  x");
  Await(1)[0].second.Send(Text("later"));
  EXPECT_EQ(client.Read().body, "later");
  EXPECT_EQ(client.Read().body.size(), 300'000U);
  EXPECT_EQ(client.Read().body.size(), 300'001U);
  EXPECT_TRUE(client.AtEnd());
  RawClient silent(port);
  ASSERT_EQ(shutdown(silent.fd(), SHUT_WR), 0);
  EXPECT_TRUE(silent.AtEnd());
}

TEST_F(HttpPipelineTest, AClientThatLeavesWithAnswersPendingDoesNoHarm) {
  const auto port = Serve();
  Waiting all;
  {
    RawClient client(port);
    ASSERT_TRUE(client.Send(Together(0, 4)));
    all = Await(5);
  }
  for (auto& [query, responder] : all)
    responder.Send(Text("too late"));
  RawClient other(port);
  ASSERT_TRUE(other.Send(Get("/big?1")));
  EXPECT_EQ(other.Read().body, "b");
}

TEST_F(HttpPipelineTest, ContinueIsSaidWhenItIsItsTurn) {
  RawClient client(Serve());
  ASSERT_TRUE(client.Send(Together(0, 0) + "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
                                           "Expect: 100-continue\r\n\r\n"));
  Await(1)[0].second.Send(Text("0"));
  EXPECT_EQ(client.Read().body, "0");
  EXPECT_EQ(client.Read().status, 100);
  ASSERT_TRUE(client.Send("x"));
  EXPECT_EQ(client.Read().body, "POST /echo  x");
}

TEST_F(HttpPipelineTest, StopAnswersAllThatAreUnderWay) {
  RawClient client(Serve());
  ASSERT_TRUE(client.Send(Together(0, 2)));
  const Waiting all = Await(3);
  std::thread stopping([&] { server->Stop(); });
  for (auto& [query, responder] : all)
    responder.Send(Text(query));
  stopping.join();
  for (const char* body : {"0", "1", "2"})
    EXPECT_EQ(client.Read().body, body);
  EXPECT_TRUE(client.AtEnd());
}

// ---- one connection without a socket ----------------------------------------------------------

class HttpConnectionTest : public ::testing::Test {
 protected:
  HttpConnectionTest() {
    const HttpHandler none = [](HttpRequest&&, const Responder&) {};
    shared.routes.push_back({"POST", "/push", none, Together::kYes});
    shared.fallback.handler = none;
    shared.options.pipeline_max = 4;
  }
  int BeginAll() {
    int begun = 0;
    while (connection.Next("now"))
      ++begun;
    return begun;
  }

  HttpShared shared;
  HttpConnection connection{1, "127.0.0.1", shared};
};

TEST_F(HttpConnectionTest, NothingIsReadBehindAFullPipeline) {
  for (int i = 0; i < 5; ++i)
    connection.Add(Post("/push", std::string(1000, 'x')));
  EXPECT_EQ(BeginAll(), 4);
  EXPECT_FALSE(connection.InputIsHigh());
  connection.Add(std::string(256UL * 1024, 'x'));
  EXPECT_TRUE(connection.InputIsHigh());
  connection.Answer(0, Text(""), "now");
  EXPECT_FALSE(connection.InputIsHigh());  // another may begin
}

TEST_F(HttpConnectionTest, NothingIsReadBehindARequestThatWaitsForItsTurn) {
  connection.Add(Post("/push", "x") + Post("/elsewhere", "x"));
  EXPECT_EQ(BeginAll(), 1);
  connection.Add(std::string(256UL * 1024, 'x'));
  EXPECT_TRUE(connection.InputIsHigh());
  connection.Answer(0, Text(""), "now");
  EXPECT_FALSE(connection.InputIsHigh());
}

TEST_F(HttpConnectionTest, NothingIsReadFromAClientThatDoesNotTakeItsReplies) {
  connection.Add(std::string(300UL * 1024, 'x'));
  EXPECT_FALSE(connection.InputIsHigh());  // a head may be long
  connection.choked = true;
  EXPECT_TRUE(connection.InputIsHigh());
}

TEST_F(HttpConnectionTest, LargeRequestsAndRepliesTakeThePlaceOfMany) {
  const std::string large = Post("/push", std::string(200UL * 1024, 'x'));
  for (int i = 0; i < 4; ++i)
    connection.Add(large);
  EXPECT_EQ(BeginAll(), 2);  // 400 KiB
  connection.Answer(1, Text(std::string(300UL * 1024, 'r')), "now");
  EXPECT_FALSE(connection.has_output());
  EXPECT_EQ(BeginAll(), 0);
  connection.Answer(0, Text("first"), "now");
  EXPECT_GT(connection.output().size(), 300UL * 1024);
  EXPECT_EQ(BeginAll(), 2);
}

TEST_F(HttpConnectionTest, OutputLeavesInPieces) {
  connection.Add(Post("/push", "x"));
  ASSERT_EQ(BeginAll(), 1);
  connection.Answer(0, Text("body"), "now");
  const std::string whole(connection.output());
  connection.Written(10);
  EXPECT_EQ(connection.output(), whole.substr(10));
  connection.Written(whole.size() - 10);
  EXPECT_FALSE(connection.has_output());
  EXPECT_TRUE(connection.idle());
}

}  // namespace
}  // namespace encke::web

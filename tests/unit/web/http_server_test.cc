#include "web/http_server.h"

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "unit/web/http_server_fixture.h"

namespace encke::web {
namespace {

TEST_F(HttpServerTest, AnswersAndKeepsAlive) {
  RawClient client(Serve());
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(client.Send(Post(fmt::format("/echo?n={}", i), "hello")));
    const RawReply reply = client.Read();
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.body, fmt::format("POST /echo n={} hello", i));
    EXPECT_EQ(reply.head.find("Connection:"), std::string::npos);
  }
  EXPECT_EQ(server->counts().connections.value(), 1U);
  EXPECT_EQ(server->counts().requests.value(), 3U);
  EXPECT_EQ(server->counts().answer_us.count(), 3U);
}

TEST_F(HttpServerTest, ConnectionCloseIsHonoured) {
  const auto port = Serve();
  RawClient client(port);
  ASSERT_TRUE(client.Send("POST /echo HTTP/1.0\r\nContent-Length: 1\r\n\r\nx"));
  const RawReply reply = client.Read();
  EXPECT_EQ(reply.body, "POST /echo  x");
  EXPECT_NE(reply.head.find("Connection: close\r\n"), std::string::npos);
  EXPECT_TRUE(client.AtEnd());
  RawClient old(port);
  ASSERT_TRUE(old.Send("GET /big?1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
  EXPECT_NE(old.Read().head.find("Connection: keep-alive\r\n"), std::string::npos);
  ASSERT_TRUE(old.Send(Get("/big?2")));
  EXPECT_EQ(old.Read().body, "bb");
}

TEST_F(HttpServerTest, FiftyPipelinedRequestsAreAnsweredInOrder) {
  RawClient client(Serve());
  std::string all;
  for (int i = 0; i < 50; ++i) {
    all += i % 2 == 0 ? Post(fmt::format("/echo?{}", i), std::string(i, 'x'))
                      : Get(fmt::format("/big?{}", i));
  }
  ASSERT_TRUE(client.Send(all));
  for (int i = 0; i < 50; ++i) {
    const std::string want =
        i % 2 == 0 ? fmt::format("POST /echo {} {}", i, std::string(i, 'x')) : std::string(i, 'b');
    EXPECT_EQ(client.Read().body, want);
  }
}

TEST_F(HttpServerTest, PipelinedRequestsWaitForALateAnswer) {
  RawClient client(Serve());
  ASSERT_TRUE(client.Send(Get("/later?1") + Get("/big?3") + Get("/later?2") + Post("/echo", "z")));
  Waiting first = TakeWaiting(1);
  ASSERT_EQ(first.size(), 1U);  // the second one may not start before the first is answered
  EXPECT_EQ(first[0].first, "1");
  std::thread([&] { first[0].second.Send(Text("one")); }).join();
  EXPECT_EQ(client.Read().body, "one");
  EXPECT_EQ(client.Read().body, "bbb");
  TakeWaiting(2)[0].second.Send(Text("two"));
  EXPECT_EQ(client.Read().body, "two");
  EXPECT_EQ(client.Read().body, "POST /echo  z");
}

TEST_F(HttpServerTest, SplitRequestsAreJoined) {
  RawClient client(Serve());
  const std::string text = Post("/echo?q", "0123456789") + Post("/echo", "second");
  for (const char c : text) {
    ASSERT_TRUE(client.Send(std::string_view(&c, 1)));
  }
  EXPECT_EQ(client.Read().body, "POST /echo q 0123456789");
  EXPECT_EQ(client.Read().body, "POST /echo  second");
}

TEST_F(HttpServerTest, LargeBodiesUpToTheLimit) {
  RawClient client(Serve());
  const std::string body(512 * 1024, 'y');
  ASSERT_TRUE(client.Send(Post("/echo", body)));
  const RawReply reply = client.Read();
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, "POST /echo  " + body);
  ASSERT_TRUE(client.Send(Post("/echo", "again")));
  EXPECT_EQ(client.Read().body, "POST /echo  again");
}

TEST_F(HttpServerTest, LargeRepliesComeWholeAndBetweenOthers) {
  RawClient client(Serve());
  for (const char* size : {"65536", "65537", "3000000"}) {
    ASSERT_TRUE(client.Send(Get(fmt::format("/big?{}", size)) + Post("/echo", "after")));
    EXPECT_EQ(client.Read().body.size(), std::stoul(size));
    EXPECT_EQ(client.Read().body, "POST /echo  after");
  }
}

TEST_F(HttpServerTest, ManyLargePipelinedRepliesToAClientThatReadsLate) {
  RawClient client(Serve());
  std::string all;
  for (int i = 0; i < 40; ++i) {
    all += Get("/big?1000000");
  }
  ASSERT_TRUE(client.Send(all));
  for (int i = 0; i < 40; ++i) {
    ASSERT_EQ(client.Read().body.size(), 1'000'000U) << i;
  }
}

TEST_F(HttpServerTest, UnknownPathsAndMethodsGoToTheFallback) {
  RawClient client(Serve());
  for (const char* target : {"/nothing", "/echo", "/echo/"}) {
    ASSERT_TRUE(client.Send(Get(target)));
    const RawReply reply = client.Read();
    EXPECT_EQ(reply.status, 404);
    EXPECT_EQ(reply.body, "404 page not found");
    EXPECT_NE(reply.head.find("Content-Type: text/plain\r\n"), std::string::npos);
  }
  ASSERT_TRUE(client.Send("BREW /echo HTTP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_EQ(client.Read().status, 404);
  ASSERT_TRUE(client.Send("HEAD /big HTTP/1.1\r\nHost: a\r\n\r\n" + Get("/big?2")));
  const RawReply head = client.Read(false);
  EXPECT_EQ(head.status, 404);
  EXPECT_NE(head.head.find("Content-Length: 18\r\n"), std::string::npos);
  EXPECT_EQ(client.Read().body, "bb");
}

TEST_F(HttpServerTest, EscapedPathsFindTheirRoute) {
  RawClient client(Serve());
  ASSERT_TRUE(client.Send(Post("/%65cho?%41", "x") + Get("/big%zz")));
  EXPECT_EQ(client.Read().body, "POST /%65cho %41 x");
  EXPECT_EQ(client.Read().status, 400);
}

TEST_F(HttpServerTest, ALongQueryIsRead) {
  RawClient client(Serve());
  std::string query;
  for (int i = 0; i < 10'000; ++i) {
    query += fmt::format("keys={}&", i);
  }
  ASSERT_TRUE(client.Send(Post("/echo?" + query, "x")));
  EXPECT_EQ(client.Read().body, "POST /echo " + query + " x");
}

TEST_F(HttpServerTest, ExpectContinueIsToldToGoOn) {
  RawClient client(Serve());
  ASSERT_TRUE(client.Send(
      "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"));
  EXPECT_EQ(client.Read().status, 100);
  ASSERT_TRUE(client.Send("hi"));
  EXPECT_EQ(client.Read().body, "POST /echo  hi");
}

TEST_F(HttpServerTest, OnlyTheFirstAnswerCounts) {
  RawClient client(Serve());
  ASSERT_TRUE(client.Send(Get("/later")));
  const Responder responder = TakeWaiting(1)[0].second;
  responder.Send(Text("first"));
  responder.Send(Text("second"));
  EXPECT_EQ(client.Read().body, "first");
  ASSERT_TRUE(client.Send(Get("/big?1")));
  EXPECT_EQ(client.Read().body, "b");
  responder.Send(Text("third"));
  ASSERT_TRUE(client.Send(Get("/big?2")));
  EXPECT_EQ(client.Read().body, "bb");
}

TEST_F(HttpServerTest, ADroppedResponderAnswers500) {
  RawClient client(Serve());
  ASSERT_TRUE(client.Send(Get("/never")));
  EXPECT_EQ(client.Read().status, 500);
  ASSERT_TRUE(client.Send(Get("/later")));
  TakeWaiting(1).clear();
  EXPECT_EQ(client.Read().status, 500);
}

TEST_F(HttpServerTest, AnswersFromManyThreadsReachTheirClients) {
  HttpOptions options;
  options.threads = 2;
  const auto port = Serve(options);
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 40; ++i) {
    clients.push_back(std::make_unique<RawClient>(port));
    ASSERT_TRUE(clients.back()->Send(Get(fmt::format("/later?{}", i))));
  }
  Waiting all;
  while (all.size() < 40) {
    for (auto& one : TakeWaiting(static_cast<int>(all.size()) + 1)) {
      all.push_back(std::move(one));
    }
  }
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&all, t] {
      for (std::size_t i = t; i < all.size(); i += 4) {
        all[i].second.Send(Text("for " + all[i].first));
      }
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  for (int i = 0; i < 40; ++i) {
    EXPECT_EQ(clients[i]->Read().body, fmt::format("for {}", i));
  }
}

}  // namespace
}  // namespace encke::web

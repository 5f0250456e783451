#include "web/http_server.h"

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "base/threads.h"
#include "unit/web/raw_client.h"

namespace encke::web {
namespace {

HttpReply Text(std::string body) { return {200, "text/plain", std::move(body), {}}; }

std::string Post(std::string_view target, std::string_view body) {
  return fmt::format("POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{}", target,
                     body.size(), body);
}

std::string Get(std::string_view target) {
  return fmt::format("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", target);
}

// Routes: POST /echo answers method, path, query and body; GET /later is answered by whoever takes
// the responder from `waiting`; GET /big?<n> answers n bytes; GET /never drops its responder.
class HttpServerTest : public ::testing::Test {
 protected:
  std::uint16_t Serve(HttpOptions options = {}) {
    server = std::make_unique<HttpServer>(options);
    server->Route("POST", "/echo", [](HttpRequest&& request, const Responder& responder) {
      responder.Send(Text(
          fmt::format("{} {} {} {}", request.method, request.path, request.query, request.body)));
    });
    server->Route("GET", "/later", [this](HttpRequest&& request, const Responder& responder) {
      waiting.With([&](auto& list) { list.emplace_back(request.query, responder); });
      arrived.fetch_add(1);
      arrived.notify_all();
    });
    server->Route("GET", "/big", [](HttpRequest&& request, const Responder& responder) {
      responder.Send(Text(std::string(std::stoul(request.query), 'b')));
    });
    server->Route("GET", "/never", [](HttpRequest&&, const Responder&) {});
    auto port = server->Start();
    EXPECT_TRUE(port) << (port ? "" : port.error().text);
    return port ? *port : 0;
  }

  using Waiting = std::vector<std::pair<std::string, Responder>>;
  Waiting TakeWaiting(int count) {
    for (int seen = arrived.load(); seen < count; seen = arrived.load()) {
      arrived.wait(seen);
    }
    return waiting.With([](Waiting& list) { return std::exchange(list, {}); });
  }

  Guarded<Waiting> waiting;
  Waiting gone;
  std::atomic<int> arrived{0};
  std::unique_ptr<HttpServer> server;
};

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
  const std::string body(1024 * 1024, 'y');
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

TEST_F(HttpServerTest, ATooLargeBodyIsRefusedAtOnce) {
  HttpOptions options;
  options.body_bytes_max = 10;
  const auto port = Serve(options);
  RawClient client(port);
  ASSERT_TRUE(client.Send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n"));
  const RawReply reply = client.Read();  // before a byte of the body was sent
  EXPECT_EQ(reply.status, 413);
  EXPECT_NE(reply.head.find("Connection: close"), std::string::npos);
  EXPECT_TRUE(client.AtEnd());
  RawClient exact(port);
  ASSERT_TRUE(exact.Send(Post("/echo", "0123456789")));
  EXPECT_EQ(exact.Read().status, 200);
  RawClient sender(port);  // the reply must arrive although the body keeps coming
  sender.Send(Post("/echo", std::string(200'000, 'x')));
  EXPECT_EQ(sender.Read().status, 413);
  EXPECT_EQ(server->counts().refused_body.value(), 2U);
}

TEST_F(HttpServerTest, LengthIsRequired) {
  const auto port = Serve();
  for (const char* text : {"POST /echo HTTP/1.1\r\nHost: a\r\n\r\n",
                           "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                           "1\r\nx\r\n0\r\n\r\n",
                           "GET /big?1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
                           "Content-Length: 4\r\n\r\n"}) {
    RawClient client(port);
    ASSERT_TRUE(client.Send(text));
    EXPECT_EQ(client.Read().status, 411) << text;
    EXPECT_TRUE(client.AtEnd());
  }
  EXPECT_EQ(server->counts().requests.value(), 0U);
  EXPECT_EQ(server->counts().bad_requests.value(), 3U);
}

TEST_F(HttpServerTest, RubbishIsABadRequest) {
  RawClient client(Serve());
  ASSERT_TRUE(client.Send("\x16\x03\x01 hello\r\n\r\n"));
  EXPECT_EQ(client.Read().status, 400);
  EXPECT_TRUE(client.AtEnd());
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

TEST_F(HttpServerTest, AClientThatLeftEarlyDoesNoHarm) {
  const auto port = Serve();
  {
    RawClient client(port);
    ASSERT_TRUE(client.Send(Get("/later")));
    gone = TakeWaiting(1);
    ASSERT_TRUE(client.Send(Get("/big?10")));
  }
  RawClient half(port);
  ASSERT_TRUE(half.Send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf"));
  half.Close();
  RawClient other(port);
  ASSERT_TRUE(other.Send(Get("/big?1")));
  EXPECT_EQ(other.Read().body, "b");
  gone[0].second.Send(Text("too late"));
  ASSERT_TRUE(other.Send(Get("/big?2")));
  EXPECT_EQ(other.Read().body, "bb");
}

TEST_F(HttpServerTest, AnAnswerAfterTheServerIsGoneDoesNoHarm) {
  RawClient client(Serve());
  ASSERT_TRUE(client.Send(Get("/later")));
  Waiting kept = TakeWaiting(1);
  kept[0].second.Send(Text("in time"));
  EXPECT_EQ(client.Read().body, "in time");
  ASSERT_TRUE(client.Send(Get("/later")));
  kept = TakeWaiting(2);
  std::thread stopping([&] { server->Stop(); });
  kept[0].second.Send(Text("while stopping"));
  EXPECT_EQ(client.Read().body, "while stopping");
  stopping.join();
  EXPECT_TRUE(client.AtEnd());
  kept[0].second.Send(Text("late"));
  server.reset();
  kept.clear();
}

TEST_F(HttpServerTest, StopAcceptingKeepsWhatIsOpen) {
  const auto port = Serve();
  RawClient client(port);
  ASSERT_TRUE(client.Send(Get("/big?1")));
  EXPECT_EQ(client.Read().body, "b");
  server->StopAccepting();
  RawClient late(port);
  EXPECT_FALSE(late.connected());
  ASSERT_TRUE(client.Send(Get("/big?2")));
  EXPECT_EQ(client.Read().body, "bb");
  server->Stop();
  EXPECT_TRUE(client.AtEnd());
}

TEST_F(HttpServerTest, PastTheLimitClientsAreTold503) {
  HttpOptions options;
  options.connections_max = 2;
  const auto port = Serve(options);
  RawClient one(port);
  RawClient two(port);
  ASSERT_TRUE(one.Send(Get("/big?1")) && two.Send(Get("/big?1")));
  EXPECT_EQ(one.Read().status, 200);
  EXPECT_EQ(two.Read().status, 200);
  RawClient three(port);
  three.Send(Get("/big?1"));
  EXPECT_EQ(three.Read().status, 503);
  EXPECT_TRUE(three.AtEnd());
  EXPECT_EQ(server->counts().refused_limit.value(), 1U);
  ASSERT_TRUE(one.Send("GET /big?3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
  EXPECT_EQ(one.Read().status, 200);
  EXPECT_TRUE(one.AtEnd());
  one.Close();
  while (server->counts().open.value() > 1)
    std::this_thread::yield();
  RawClient four(port);
  ASSERT_TRUE(four.Send(Get("/big?1")));
  EXPECT_EQ(four.Read().status, 200);
}

TEST_F(HttpServerTest, IdleConnectionsAreClosedButNotWaitingOnes) {
  HttpOptions options;
  options.idle_timeout = Duration(1);
  const auto port = Serve(options);
  RawClient waits(port);
  ASSERT_TRUE(waits.Send(Get("/later")));
  Waiting kept = TakeWaiting(1);
  RawClient silent(port);
  EXPECT_TRUE(silent.AtEnd());
  RawClient slow(port);
  ASSERT_TRUE(slow.Send("GET /big?1 HTTP/1.1\r\n"));
  EXPECT_TRUE(slow.AtEnd());
  kept[0].second.Send(Text("kept"));
  EXPECT_EQ(waits.Read().body, "kept");
}

TEST_F(HttpServerTest, ATakenPortIsAnErrorThatNamesIt) {
  const auto port = Serve();
  HttpOptions options;
  options.address = fmt::format("127.0.0.1:{}", port);
  HttpServer second(options);
  const auto started = second.Start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().text, "listen " + options.address + ": Address already in use");
}

TEST(HttpServer, BadAddressesAreErrors) {
  for (const char* address : {"", "3111", "127.0.0.1:", "127.0.0.1:http", "no such host:1"}) {
    HttpOptions options;
    options.address = address;
    EXPECT_FALSE(HttpServer(options).Start()) << address;
  }
}

TEST(HttpServer, TwoServersInOneProcess) {
  HttpOptions options;
  options.threads = 2;
  HttpServer first(options);
  HttpServer second(options);
  const auto a = first.Start();
  const auto b = second.Start();
  ASSERT_TRUE(a && b);
  for (const auto port : {*a, *b}) {
    RawClient client(port);
    ASSERT_TRUE(client.Send(Get("/")));
    EXPECT_EQ(client.Read().status, 404);
  }
}

}  // namespace
}  // namespace encke::web

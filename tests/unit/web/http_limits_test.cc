// Where the server says no, and how it ends.

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "unit/web/http_server_fixture.h"

namespace encke::web {
namespace {

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

TEST_F(HttpServerTest, ABodyMayComeInChunks) {
  RawClient client(Serve());
  const std::string head = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  ASSERT_TRUE(client.Send(head + "3;x=y\r\nabc\r\n"));
  ASSERT_TRUE(client.Send("2\r\nd"));
  ASSERT_TRUE(client.Send("e\r\n0\r\nA: b\r\n\r\n" + head + "0\r\n\r\n" + Post("/echo", "z")));
  EXPECT_EQ(client.Read().body, "POST /echo  abcde");
  EXPECT_EQ(client.Read().body, "POST /echo  ");
  EXPECT_EQ(client.Read().body, "POST /echo  z");
}

TEST_F(HttpServerTest, APostWithoutLengthHasNoBody) {
  RawClient client(Serve());
  ASSERT_TRUE(client.Send("POST /echo HTTP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_EQ(client.Read().body, "POST /echo  ");
}

TEST_F(HttpServerTest, ChunksAreRefusedWhenBrokenOrTooLarge) {
  HttpOptions options;
  options.body_bytes_max = 10;
  const auto port = Serve(options);
  const std::string head = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::pair<std::string, int> cases[] = {{"x\r\n", 400},
                                               {"-1\r\n", 400},
                                               {"1\r\nab\r\n", 400},
                                               {std::string(300, '0'), 400},
                                               {"b\r\n", 413},
                                               {"9\r\n123456789\r\n2\r\n", 413},
                                               {"ffffffffffffffff\r\n", 413}};
  for (const auto& [chunks, status] : cases) {
    RawClient client(port);
    ASSERT_TRUE(client.Send(head + chunks));
    EXPECT_EQ(client.Read().status, status) << chunks;
    EXPECT_TRUE(client.AtEnd());
  }
  EXPECT_EQ(server->counts().requests.value(), 0U);
}

TEST_F(HttpServerTest, RubbishIsABadRequest) {
  RawClient client(Serve());
  ASSERT_TRUE(client.Send("\x16\x03\x01 hello\r\n\r\n"));
  EXPECT_EQ(client.Read().status, 400);
  EXPECT_TRUE(client.AtEnd());
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

TEST_F(HttpServerTest, StopClosesWhoWasAnsweredWhileItWasAsked) {
  const auto port = Serve();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(std::make_unique<RawClient>(port));
    ASSERT_TRUE(clients.back()->Send(Get("/later")));
  }
  Waiting all;
  while (all.size() < 20) {
    for (auto& one : TakeWaiting(static_cast<int>(all.size()) + 1)) {
      all.push_back(std::move(one));
    }
  }
  // Answers and the wish to stop meet in the loop in any order.
  std::thread stopping([&] { server->Stop(); });
  for (auto& [query, responder] : all) {
    responder.Send(Text("bye"));
  }
  stopping.join();
  for (auto& client : clients) {
    EXPECT_EQ(client->Read().body, "bye");
    EXPECT_TRUE(client->AtEnd());
  }
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

#include "logic/http_api.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "base/threads.h"
#include "logic/demo_page.h"
#include "unit/web/raw_client.h"

namespace encke::logic {
namespace {

constexpr std::string_view kOk = R"({"code":0,"message":""})";

// The API on a real server, asked over a socket; what it asks of Relay is written down.
class HttpApiTest : public ::testing::Test {
 protected:
  void Serve(std::vector<std::string> keys = {}) {
    auto made = auth::ApiKeys::Make(std::move(keys));
    ASSERT_TRUE(made);
    api_keys = std::make_unique<auth::ApiKeys>(std::move(*made));
    http = std::make_unique<web::HttpServer>(web::HttpOptions{});
    api = std::make_unique<HttpApi>(*http, Ports(), *api_keys);
    ServeDemo(*http);
    const auto port = http->Start();
    ASSERT_TRUE(port);
    client = std::make_unique<web::RawClient>(*port);
  }
  void TearDown() override {
    if (http != nullptr) http->Stop();
  }

  void Note(std::string line, const HttpPorts::OnStored& done) {
    const Status stored = fake.With([&](Fake& f) {
      f.pushed += line + "\n";
      return f.stored;
    });
    done(stored);
  }

  HttpPorts Ports() {
    HttpPorts ports;
    ports.push_keys = [this](auto op, auto keys, auto body, auto done) {
      std::string names;
      for (const Key& key : keys) {
        names += key.value() + ";";
      }
      Note(fmt::format("keys op={} {} {}", op, names, body), done);
    };
    ports.push_mids = [this](auto op, const auto& mids, auto body, auto done) {
      std::string names;
      for (const Mid& mid : mids) {
        names += fmt::format("{};", mid.value());
      }
      Note(fmt::format("mids op={} {} {}", op, names, body), done);
    };
    ports.push_room = [this](auto op, const auto& room, auto body, auto done) {
      Note(fmt::format("room op={} {} {}", op, room.value(), body), done);
    };
    ports.push_all = [this](auto op, auto speed, auto body, auto done) {
      Note(fmt::format("all op={} speed={} {}", op, speed, body), done);
    };
    ports.top = [this](std::string_view prefix, std::size_t limit) {
      return fake.With([&](Fake& f) {
        f.asked = fmt::format("{} {}", prefix, limit);
        return f.top;
      });
    };
    ports.count_of = [](std::string_view room) { return room == "live://1000" ? 5 : 0; };
    ports.totals = [] { return std::pair<std::int64_t, std::int64_t>(12, 3); };
    ports.weighted = [this](std::string_view platform, std::string_view ip) {
      fake.With([&](Fake& f) { f.asked = fmt::format("{} {}", platform, ip); });
      return std::vector<std::string>{"10.0.0.1", "10.0.0.2"};
    };
    ports.instances = [this] { return fake.With([](Fake& f) { return f.comets; }); };
    return ports;
  }

  web::RawReply Ask(std::string_view method, std::string_view target, std::string_view body = "") {
    const std::string length =
        method == "POST" ? fmt::format("Content-Length: {}\r\n", body.size()) : "";
    EXPECT_TRUE(client->Send(fmt::format("{} {} HTTP/1.1\r\nHost: a\r\n{}{}\r\n{}", method, target,
                                         headers, length, body)));
    return client->Read(method != "HEAD");
  }
  std::string Post(std::string_view target, std::string_view body = "") {
    return Show(Ask("POST", target, body));
  }
  std::string Get(std::string_view target) { return Show(Ask("GET", target)); }
  static std::string Show(const web::RawReply& reply) {
    const auto at = reply.head.find("Content-Type: ");
    const std::string type =
        at == std::string::npos ? "-"
                                : reply.head.substr(at + 14, reply.head.find("\r\n", at) - at - 14);
    return fmt::format("{} {} {}", reply.status, type, reply.body);
  }
  static std::string Json(std::string_view body) {
    return fmt::format("200 application/json; charset=utf-8 {}", body);
  }
  static std::string Bad(std::string_view message) {
    return fmt::format("400 text/plain; charset=utf-8 {{\"code\":-400,\"message\":\"{}\"}}",
                       message);
  }
  static std::string Required(std::string_view field) {
    return fmt::format("Key: '{0}' Error:Field validation for '{0}' failed on the 'required' tag",
                       field);
  }
  std::string Pushed() {
    return fake.With([](Fake& f) { return std::exchange(f.pushed, ""); });
  }
  std::string Asked() {
    return fake.With([](Fake& f) { return f.asked; });
  }

  struct Fake {
    std::string pushed;  // one line per push
    std::string asked;   // what a lookup was asked last
    Status stored{Ok{}};
    std::vector<std::pair<std::string, std::int32_t>> top;
    std::vector<Instance> comets;
  };
  Guarded<Fake> fake;
  std::string headers;  // sent with every request
  std::unique_ptr<auth::ApiKeys> api_keys;
  std::unique_ptr<HttpApi> api;
  std::unique_ptr<web::HttpServer> http;
  std::unique_ptr<web::RawClient> client;
};

TEST_F(HttpApiTest, PushKeys) {
  Serve();
  EXPECT_EQ(Post("/goim/push/keys?operation=1000&keys=a&keys=b,c&keys=a", "hi"), Json(kOk));
  EXPECT_EQ(Pushed(), "keys op=1000 a;b,c;a; hi\n");
  EXPECT_EQ(Post("/goim/push/keys?keys=a"), Json(kOk));
  EXPECT_EQ(Pushed(), "keys op=0 a; \n");
  EXPECT_EQ(Post("/goim/push/keys?operation=1000", "x"), Json(R"({"code":-400,"message":""})"));
  EXPECT_EQ(Post("/goim/push/keys?operation=abc&keys=a"),
            Bad(R"(strconv.ParseInt: parsing \"abc\": invalid syntax)"));
  EXPECT_EQ(Pushed(), "");
}

TEST_F(HttpApiTest, PushMids) {
  Serve();
  EXPECT_EQ(Post("/goim/push/mids?operation=1000&mids=1&mids=-2", "a=b&c=d"), Json(kOk));
  EXPECT_EQ(Pushed(), "mids op=1000 1;-2; a=b&c=d\n");
  EXPECT_EQ(Post("/goim/push/mids?operation=1000", "x"), Json(kOk));
  EXPECT_EQ(Pushed(), "");
  EXPECT_EQ(Post("/goim/push/mids?operation=1000&mids=1,2"),
            Bad(R"(strconv.ParseInt: parsing \"1,2\": invalid syntax)"));
  EXPECT_EQ(Post("/goim/push/mids?operation=99999999999&mids=1"),
            Bad(R"(strconv.ParseInt: parsing \"99999999999\": value out of range)"));
}

TEST_F(HttpApiTest, PushRoom) {
  Serve();
  EXPECT_EQ(Post("/goim/push/room?operation=1000&type=live&room=1000", "hello"), Json(kOk));
  EXPECT_EQ(Pushed(), "room op=1000 live://1000 hello\n");
  EXPECT_EQ(Post("/goim/push/room?room=1000&operation=1000"), Bad(Required("Type")));
  EXPECT_EQ(Post("/goim/push/room?operation=0"),
            Bad(Required("Op") + "\\n" + Required("Type") + "\\n" + Required("Room")));
  EXPECT_EQ(Pushed(), "");
  EXPECT_EQ(api->counts().bad_requests.value(), 2U);
}

TEST_F(HttpApiTest, PushAll) {
  Serve();
  EXPECT_EQ(Post("/goim/push/all?operation=1000&speed=20", "all"), Json(kOk));
  EXPECT_EQ(Post("/goim/push/all?operation=1000"), Json(kOk));
  EXPECT_EQ(Pushed(), "all op=1000 speed=20 all\nall op=1000 speed=0 \n");
  EXPECT_EQ(Post("/goim/push/all?speed=1"), Bad(Required("Op")));
}

TEST_F(HttpApiTest, WhatIsNotStoredIsNeverOk) {
  Serve();
  fake.With([](Fake& f) { f.stored = Error{Errc::kTimeout, "no answer from <nats>"}; });
  EXPECT_EQ(Post("/goim/push/keys?operation=1&keys=a"), Json(R"({"code":-400,"message":""})"));
  const std::string failed = Json(R"({"code":-500,"message":"no answer from \u003cnats\u003e"})");
  EXPECT_EQ(Post("/goim/push/mids?operation=1&mids=1"), failed);
  EXPECT_EQ(Post("/goim/push/room?operation=1&type=a&room=b"), failed);
  EXPECT_EQ(Post("/goim/push/all?operation=1"), failed);
  EXPECT_EQ(api->counts().failed.value(), 4U);
}

TEST_F(HttpApiTest, OnlineTop) {
  Serve();
  EXPECT_EQ(Get("/goim/online/top?type=live&limit=5"),
            Json(R"({"code":0,"message":"","data":[]})"));
  EXPECT_EQ(Asked(), "live 5");
  fake.With([](Fake& f) { f.top = {{"live://1000", 7}, {"live://a/b", 2}, {"live://u@h", 1}}; });
  EXPECT_EQ(Get("/goim/online/top?type=li&limit=3"),
            Json(R"({"code":0,"message":"","data":[{"room_id":"1000","count":7},)"
                 R"({"room_id":"a","count":2},{"room_id":"h","count":1}]})"));
  EXPECT_EQ(Get("/goim/online/top?limit=0"), Bad(Required("Type") + "\\n" + Required("Limit")));
  EXPECT_EQ(Get("/goim/online/top?type=a&limit=-1"), "500 - ");
}

TEST_F(HttpApiTest, OnlineRoomAndTotal) {
  Serve();
  EXPECT_EQ(Get("/goim/online/room?type=live&rooms=b&rooms=1000&rooms=b&rooms=a,c"),
            Json(R"({"code":0,"message":"","data":{"1000":5,"a,c":0,"b":0}})"));
  EXPECT_EQ(Get("/goim/online/room?rooms=1"), Bad(Required("Type")));
  EXPECT_EQ(Get("/goim/online/room?type=a"), Bad(Required("Rooms")));
  EXPECT_EQ(Get("/goim/online/total"),
            Json(R"({"code":0,"message":"","data":{"conn_count":12,"ip_count":3}})"));
}

TEST_F(HttpApiTest, NodesWeighted) {
  Serve();
  EXPECT_EQ(
      Get("/goim/nodes/weighted?platform=web"),
      Json(R"({"code":0,"message":"","data":{"domain":"127.0.0.1","tcp_port":3101,)"
           R"("ws_port":3102,"wss_port":3103,"heartbeat":240,"nodes":["10.0.0.1","10.0.0.2"],)"
           R"("backoff":{"max_delay":300,"base_delay":3,"factor":1.8,"jitter":0.3},)"
           R"("heartbeat_max":2}})"));
  EXPECT_EQ(Asked(), "web 127.0.0.1");
  headers = "X-Forwarded-For: 10.9.8.7 , 10.0.0.1\r\nX-Real-IP: 10.1.1.1\r\n";
  Get("/goim/nodes/weighted");
  EXPECT_EQ(Asked(), " 10.9.8.7");
  headers = "X-Forwarded-For: unknown\r\nX-Real-IP: 2001:db8::1\r\n";
  Get("/goim/nodes/weighted");
  EXPECT_EQ(Asked(), " 2001:db8::1");
}

TEST_F(HttpApiTest, NodesInstances) {
  Serve();
  EXPECT_EQ(Get("/goim/nodes/instances"), Json(R"({"code":0,"message":"","data":null})"));
  Instance comet;
  comet.set_id("comet-1");
  comet.set_region("sh");
  comet.set_zone("sh001");
  comet.set_env("dev");
  comet.set_grpc("127.0.0.1:3109");
  comet.add_addrs("1.2.3.4");
  comet.add_addrs("5.6.7.8");
  comet.set_weight(10);
  comet.set_conn_count(4);
  comet.set_ip_count(2);
  comet.set_version("1");
  comet.set_updated_ns(1650000000000000001);
  fake.With([&](Fake& f) { f.comets = {comet}; });
  EXPECT_EQ(Get("/goim/nodes/instances"),
            Json(R"({"code":0,"message":"","data":[{"region":"sh","zone":"sh001","env":"dev",)"
                 R"("appid":"goim.comet","hostname":"comet-1","addrs":["grpc://127.0.0.1:3109"],)"
                 R"("version":"1","latest_timestamp":1650000000000000001,"metadata":)"
                 R"({"addrs":"1.2.3.4,5.6.7.8","conn_count":"4","ip_count":"2","offline":"false",)"
                 R"("weight":"10"}}]})"));
}

TEST_F(HttpApiTest, ElsewhereIsNotFound) {
  Serve();
  const std::string nowhere = "404 text/plain 404 page not found";
  EXPECT_EQ(Get("/"), nowhere);
  EXPECT_EQ(Get("/goim/push/room?operation=1"), nowhere);
  EXPECT_EQ(Post("/goim/push/mids=1?operation=1"), nowhere);
  EXPECT_EQ(Post("/goim/online/total"), nowhere);
  EXPECT_EQ(Ask("HEAD", "/goim/online/total").status, 404);
}

TEST_F(HttpApiTest, ATrailingSlashIsRedirected) {
  Serve();
  const web::RawReply post = Ask("POST", "/goim/push/room/?operation=1&type=a", "x");
  EXPECT_EQ(Show(post), "307 - ");
  EXPECT_NE(post.head.find("\r\nLocation: /goim/push/room?operation=1&type=a\r\n"),
            std::string::npos);
  const web::RawReply get = Ask("GET", "/goim/online/total/");
  EXPECT_EQ(
      Show(get),
      "301 text/html; charset=utf-8 <a href=\"/goim/online/total\">Moved Permanently</a>.\n\n");
  EXPECT_NE(get.head.find("\r\nLocation: /goim/online/total\r\n"), std::string::npos);
  EXPECT_EQ(Get("/goim/push/room/"), "404 text/plain 404 page not found");
  EXPECT_EQ(Get("/goim/online/total//"), "404 text/plain 404 page not found");
}

TEST_F(HttpApiTest, WithKeysEveryRouteAsksForOne) {
  Serve({"secret"});
  const std::string refused =
      "401 application/json; charset=utf-8 {\"code\":-401,\"message\":\"api key missing or "
      "unknown: "
      "Authorization: Bearer or X-API-Key\"}";
  EXPECT_EQ(Post("/goim/push/all?operation=1", "x"), refused);
  EXPECT_EQ(Get("/goim/online/total"), refused);
  EXPECT_EQ(Get("/goim/nodes/instances"), refused);
  headers = "Authorization: Bearer wrong\r\n";
  EXPECT_EQ(Post("/goim/push/all?operation=1", "x"), refused);
  EXPECT_EQ(Pushed(), "");
  EXPECT_EQ(api->counts().unauthorized.value(), 4U);
  headers = "Authorization: Bearer secret\r\n";
  EXPECT_EQ(Post("/goim/push/all?operation=1", "x"), Json(kOk));
  headers = "X-API-Key: secret\r\n";
  EXPECT_EQ(Post("/goim/push/all?operation=1", "x"), Json(kOk));
  headers = "";
  EXPECT_EQ(Ask("GET", "/demo").status, 200);
}

TEST_F(HttpApiTest, TheDemoIsServedFromTheSameOrigin) {
  Serve();
  const web::RawReply page = Ask("GET", "/demo");
  EXPECT_EQ(page.status, 200);
  EXPECT_NE(page.head.find("Content-Type: text/html; charset=utf-8\r\n"), std::string::npos);
  EXPECT_NE(page.head.find("Cache-Control: no-store\r\n"), std::string::npos);
  EXPECT_NE(page.body.find("src=\"/demo/demo.js\""), std::string::npos);
  std::size_t scripts = 0;
  for (const DemoFile& file : DemoFiles()) {
    if (file.name == "index.html") continue;
    const web::RawReply reply = Ask("GET", "/demo/" + file.name);
    EXPECT_EQ(reply.status, 200) << file.name;
    EXPECT_NE(reply.head.find("Content-Type: text/javascript"), std::string::npos);
    EXPECT_EQ(reply.body, file.bytes);
    ++scripts;
  }
  EXPECT_GE(scripts, 4U);
}

}  // namespace
}  // namespace encke::logic

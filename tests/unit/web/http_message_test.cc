#include "web/http_message.h"

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace encke::web {
namespace {

struct Parsed {
  HeadParsed what = HeadParsed::kNeedMore;
  HttpHead head;
  std::size_t consumed = 0;
  int status = 0;
};

Parsed Parse(std::string_view text) {
  Parsed out;
  std::size_t scanned = 0;
  out.what = ParseHead(text, 4096, &scanned, &out.head, &out.consumed, &out.status);
  return out;
}

int StatusOf(std::string_view text) {
  const Parsed parsed = Parse(text);
  return parsed.what == HeadParsed::kRefused ? parsed.status : 0;
}

TEST(HttpMessage, ReadsAHead) {
  const std::string text =
      "POST /goim/push/mids?operation=1000&mids=1 HTTP/1.1\r\nHost: a:3111\r\n"
      "content-LENGTH:  5 \r\nX-API-Key: k1\r\nAuthorization: Bearer k2\r\n"
      "X-Forwarded-For: 10.0.0.1, 10.0.0.2\r\nX-Real-IP: 10.0.0.3\r\n"
      "Content-Type: text/plain\r\n\r\n";
  const std::string with_body = text + "hello";
  const Parsed parsed = Parse(with_body);
  ASSERT_EQ(parsed.what, HeadParsed::kHead);
  EXPECT_EQ(parsed.consumed, text.size());
  EXPECT_EQ(parsed.head.method, "POST");
  EXPECT_EQ(parsed.head.path, "/goim/push/mids");
  EXPECT_EQ(parsed.head.query, "operation=1000&mids=1");
  EXPECT_EQ(parsed.head.content_length, 5U);
  EXPECT_EQ(parsed.head.api_key, "k1");
  EXPECT_EQ(parsed.head.authorization, "Bearer k2");
  EXPECT_EQ(parsed.head.forwarded_for, "10.0.0.1, 10.0.0.2");
  EXPECT_EQ(parsed.head.real_ip, "10.0.0.3");
  EXPECT_EQ(parsed.head.content_type, "text/plain");
  EXPECT_TRUE(parsed.head.keep_alive);
}

TEST(HttpMessage, NeedsMoreAtEveryCut) {
  const std::string text = "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
  std::size_t scanned = 0;
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    Parsed out;
    const auto what = ParseHead(std::string_view(text).substr(0, cut), 4096, &scanned, &out.head,
                                &out.consumed, &out.status);
    EXPECT_EQ(what, cut < text.size() ? HeadParsed::kNeedMore : HeadParsed::kHead) << cut;
  }
}

TEST(HttpMessage, LoneLineFeedsEndLines) {
  const Parsed parsed = Parse("GET /x HTTP/1.0\nConnection: Keep-Alive\n\nrest");
  ASSERT_EQ(parsed.what, HeadParsed::kHead);
  EXPECT_EQ(parsed.head.path, "/x");
  EXPECT_TRUE(parsed.head.keep_alive);
  EXPECT_FALSE(parsed.head.http11);
}

TEST(HttpMessage, KeepAliveFollowsVersionAndConnection) {
  EXPECT_FALSE(Parse("GET / HTTP/1.0\r\n\r\n").head.keep_alive);
  EXPECT_FALSE(Parse("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n").head.keep_alive);
  EXPECT_TRUE(Parse("GET / HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n\r\n").head.keep_alive);
}

TEST(HttpMessage, ReadsTargetsOfEveryForm) {
  EXPECT_EQ(Parse("GET http://a:1/p?q HTTP/1.1\r\nHost: a\r\n\r\n").head.path, "/p");
  EXPECT_EQ(Parse("GET http://a:1/p?q HTTP/1.1\r\nHost: a\r\n\r\n").head.query, "q");
  EXPECT_EQ(Parse("GET http://a HTTP/1.1\r\nHost: a\r\n\r\n").head.path, "/");
  EXPECT_EQ(Parse("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").head.path, "*");
  EXPECT_EQ(Parse("GET /a?b=http://c HTTP/1.1\r\nHost: a\r\n\r\n").head.path, "/a");
}

TEST(HttpMessage, RefusesWhatCouldBeReadTwoWays) {
  const std::string get = "GET / HTTP/1.1\r\nHost: a\r\n";
  EXPECT_EQ(StatusOf(get + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf(get + "Content-Length: 1, 1\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf(get + "Content-Length: +1\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf(get + "Content-Length: -1\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf(get + "Content-Length: 99999999999999999999\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf(get + "Content-Length:\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf(get + "Content-Length : 1\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf(get + "X-A: 1\r\n folded\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf(get + "Transfer-Encoding: gzip, chunked\r\n\r\n"), 501);
  EXPECT_EQ(StatusOf(get + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf(get + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
            400);
  EXPECT_EQ(StatusOf("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf(get + "Host: b\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf(get + std::string("X-A: a\0b\r\n\r\n", 12)), 400);
  EXPECT_EQ(StatusOf("GET / HTTP/1.1\r\n\r\n"), 400);
}

TEST(HttpMessage, RefusesBrokenRequestLines) {
  EXPECT_EQ(StatusOf("GET\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf("GET /\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf("GET / x HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf("G(T / HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf("GET nowhere HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 505);
  EXPECT_EQ(StatusOf("GET / HTTX/1.1\r\nHost: a\r\n\r\n"), 400);
}

TEST(HttpMessage, RefusesALongHead) {
  const std::string get = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
  EXPECT_EQ(StatusOf(get + std::string(5000, 'x')), 431);
  EXPECT_EQ(StatusOf(get + std::string(5000, 'x') + "\r\n\r\n"), 431);
  EXPECT_EQ(Parse(get + std::string(3000, 'x') + "\r\n\r\n").what, HeadParsed::kHead);
}

using Pairs = std::vector<std::pair<std::string, std::string>>;

TEST(HttpMessage, ParseQueryReadsAsGoDoes) {
  EXPECT_EQ(ParseQuery("a=1&b=2&a=3"), (Pairs{{"a", "1"}, {"b", "2"}, {"a", "3"}}));
  EXPECT_EQ(ParseQuery("a=x+y%20%26%3D&b"), (Pairs{{"a", "x y &="}, {"b", ""}}));
  EXPECT_EQ(ParseQuery("&&a==b&=v"), (Pairs{{"a", "=b"}, {"", "v"}}));
  EXPECT_EQ(ParseQuery("a=%zz&b=%4&c=1;d=2&e=5"), (Pairs{{"e", "5"}}));
  EXPECT_EQ(ParseQuery(""), Pairs{});
}

TEST(HttpMessage, DecodesPaths) {
  EXPECT_EQ(DecodePath("/goim%2Fpush+x"), "/goim/push+x");
  EXPECT_EQ(DecodePath("/a%"), std::nullopt);
  EXPECT_EQ(DecodePath("/a%4"), std::nullopt);
  EXPECT_EQ(DecodePath("/a%4g"), std::nullopt);
}

TEST(HttpMessage, WritesReplies) {
  std::string out;
  HttpReply reply{307, "", "", {{"Location", "/x"}}};
  AppendReply(&out, reply, {true, true, true, HttpDate(784887151)});
  EXPECT_EQ(out,
            "HTTP/1.1 307 Temporary Redirect\r\nLocation: /x\r\n"
            "Date: Tue, 15 Nov 1994 08:12:31 GMT\r\nContent-Length: 0\r\n\r\n");
  out.clear();
  AppendReply(&out, {200, "a/b", "hi", {}}, {true, false, false, "d"});
  EXPECT_EQ(out,
            "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nDate: d\r\nContent-Length: 2\r\n"
            "Connection: close\r\n\r\n");
}

}  // namespace
}  // namespace encke::web

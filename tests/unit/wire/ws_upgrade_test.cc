#include "wire/ws_upgrade.h"

#include <array>
#include <string>

#include <gtest/gtest.h>

namespace encke::wire {
namespace {

constexpr std::string_view kHeaders =
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

struct Outcome {
  UpgradeParsed parsed;
  WsUpgrade upgrade;
  std::size_t consumed = 0;
  int status = 0;
};

Outcome Parse(std::string_view in) {
  Outcome outcome{};
  outcome.parsed = ParseUpgrade(in, &outcome.upgrade, &outcome.consumed, &outcome.status);
  return outcome;
}

std::string Request(std::string_view line, std::string_view headers) {
  return std::string(line) + "\r\n" + std::string(headers) + "\r\n";
}

TEST(WsUpgrade, ReadsWhatABrowserSends) {
  const std::string head = Request(
      "GET /sub?a=1&b=2 HTTP/1.1",
      "Host: comet.example\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
      "Origin: https://example.com\r\nSec-WebSocket-Version: 13\r\nCookie: sid=7; t=8\r\n"
      "Sec-WebSocket-Extensions: permessage-deflate\r\nX-Forwarded-For: 10.1.2.3, 10.0.0.1\r\n"
      "X-Real-IP: 10.9.9.9\r\nSec-WebSocket-Key:  dGhlIHNhbXBsZSBub25jZQ== \r\n");
  const std::string in = head + "first frame";  // parsed parts borrow the input
  const Outcome outcome = Parse(in);
  ASSERT_EQ(outcome.parsed, UpgradeParsed::kUpgrade);
  EXPECT_EQ(outcome.consumed, head.size());
  EXPECT_EQ(outcome.upgrade.path, "/sub");
  EXPECT_EQ(outcome.upgrade.query, "a=1&b=2");
  EXPECT_EQ(outcome.upgrade.key, "dGhlIHNhbXBsZSBub25jZQ==");
  EXPECT_EQ(outcome.upgrade.cookie, "sid=7; t=8");
  EXPECT_EQ(outcome.upgrade.forwarded_for, "10.1.2.3, 10.0.0.1");
}

TEST(WsUpgrade, NeedsNoHostAndTakesBareLineFeeds) {
  std::string in = Request("GET /sub HTTP/1.1", kHeaders);
  ASSERT_EQ(Parse(in).parsed, UpgradeParsed::kUpgrade);
  std::erase(in, '\r');
  const Outcome outcome = Parse(in);
  EXPECT_EQ(outcome.parsed, UpgradeParsed::kUpgrade);
  EXPECT_EQ(outcome.consumed, in.size());
  EXPECT_EQ(outcome.upgrade.forwarded_for, "");
}

TEST(WsUpgrade, HeaderNamesAndWordsInAnyCase) {
  const std::string in =
      Request("GET /sub HTTP/1.1",
              "UPGRADE: WEBSOCKET\r\nconnection: UPGRADE\r\nsec-websocket-version: 13\r\n"
              "SEC-WEBSOCKET-KEY: KeepsItsCase\r\ncookie: a=B\r\n");
  const Outcome outcome = Parse(in);
  ASSERT_EQ(outcome.parsed, UpgradeParsed::kUpgrade);
  EXPECT_EQ(outcome.upgrade.key, "KeepsItsCase");
  EXPECT_EQ(outcome.upgrade.cookie, "a=B");
}

TEST(WsUpgrade, TheFirstKeyCounts) {
  const std::string in =
      Request("GET /sub HTTP/1.1",
              std::string("Sec-WebSocket-Key: one\r\nX-Real-IP: 10.2.2.2\r\n") + kHeaders.data());
  const Outcome outcome = Parse(in);
  ASSERT_EQ(outcome.parsed, UpgradeParsed::kUpgrade);
  EXPECT_EQ(outcome.upgrade.key, "one");
  EXPECT_EQ(outcome.upgrade.forwarded_for, "10.2.2.2");
}

TEST(WsUpgrade, EveryPrefixWaits) {
  const std::string in = Request("GET /sub HTTP/1.1", kHeaders);
  for (std::size_t cut = 0; cut < in.size(); ++cut)
    EXPECT_EQ(Parse(in.substr(0, cut)).parsed, UpgradeParsed::kNeedMore) << cut;
}

struct Refused {
  const char* line;
  std::string headers;
  int status;
};

std::string Without(std::string_view name) {
  std::string text(kHeaders);
  const std::size_t at = text.find(name);
  return text.erase(at, text.find('\n', at) + 1 - at);
}

TEST(WsUpgrade, RefusesWithTheRightStatus) {
  const std::string all(kHeaders);
  const std::array cases = {
      Refused{"POST /sub HTTP/1.1", all, 405},
      Refused{"get /sub HTTP/1.1", all, 405},
      Refused{"GET / HTTP/1.1", all, 404},
      Refused{"GET /subway HTTP/1.1", all, 404},
      Refused{"GET /?/sub HTTP/1.1", all, 404},
      Refused{"GET /sub HTTP/1.0", all, 400},
      Refused{"GET /sub", all, 400},
      Refused{"GET", all, 400},
      Refused{"", all, 400},
      Refused{"GET /sub HTTP/1.1", "", 426},
      Refused{"GET /sub HTTP/1.1", Without("Upgrade: "), 426},
      Refused{"GET /sub HTTP/1.1", Without("Sec-WebSocket-Version"), 426},
      Refused{"GET /sub HTTP/1.1", Without("Connection"), 400},
      Refused{"GET /sub HTTP/1.1", Without("Sec-WebSocket-Key"), 400},
      Refused{"GET /sub HTTP/1.1", "Sec-WebSocket-Key: \r\n" + all, 400},
      Refused{"GET /sub HTTP/1.1", "Sec-WebSocket-Version: 8\r\n" + all, 426},
      Refused{"GET /sub HTTP/1.1", "Upgrade: h2c\r\n" + all, 426},
      Refused{"GET /sub HTTP/1.1", "no colon\r\n" + all, 400},
      Refused{"GET /sub HTTP/1.1", ": no name\r\n" + all, 400},
      Refused{"GET /sub HTTP/1.1", "Host : x\r\n" + all, 400},
      Refused{"GET /sub HTTP/1.1", "Host: a\r\n folded: b\r\n" + all, 400},
      Refused{"GET /sub HTTP/1.1", "Cookie: a\x1b[2J\r\n" + all, 400},
  };
  for (const Refused& c : cases) {
    const Outcome outcome = Parse(Request(c.line, c.headers));
    EXPECT_EQ(outcome.parsed, UpgradeParsed::kRefused) << c.line << "\n" << c.headers;
    EXPECT_EQ(outcome.status, c.status) << c.line << "\n" << c.headers;
  }
}

TEST(WsUpgrade, BoundsTheHead) {
  const std::string line = "GET /sub HTTP/1.1";
  const std::string filler = "Cookie: ";
  const std::size_t rest = Request(line, kHeaders).size() + filler.size() + 2;
  const std::string fits(kUpgradeBytesMax - rest, 'c');
  EXPECT_EQ(Parse(Request(line, filler + fits + "\r\n" + kHeaders.data())).parsed,
            UpgradeParsed::kUpgrade);
  const Outcome over = Parse(Request(line, filler + fits + "c\r\n" + kHeaders.data()));
  EXPECT_EQ(over.parsed, UpgradeParsed::kRefused);
  EXPECT_EQ(over.status, 431);
  EXPECT_EQ(Parse(std::string(kUpgradeBytesMax, 'x')).status, 431);
  EXPECT_EQ(Parse(std::string(kUpgradeBytesMax - 1, 'x')).parsed, UpgradeParsed::kNeedMore);
}

TEST(WsUpgrade, AnswersExactlyFourLines) {
  EXPECT_EQ(UpgradeAnswer("dGhlIHNhbXBsZSBub25jZQ=="),
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
}

TEST(WsUpgrade, RefusalsAreWholeAnswers) {
  EXPECT_EQ(UpgradeRefusal(404),
            "HTTP/1.1 404 Not Found\r\nConnection: close\r\n"
            "Content-Type: text/plain; charset=utf-8\r\nContent-Length: 14\r\n\r\n404 Not Found\n");
  EXPECT_NE(UpgradeRefusal(405).find("\r\nAllow: GET\r\n"), std::string::npos);
  EXPECT_NE(UpgradeRefusal(426).find("\r\nSec-WebSocket-Version: 13\r\n"), std::string::npos);
  for (const int status : {400, 404, 405, 426, 431}) {
    const std::string answer = UpgradeRefusal(status);
    EXPECT_EQ(answer.rfind("HTTP/1.1 " + std::to_string(status) + " ", 0), 0u);
    EXPECT_NE(answer.find("\r\nConnection: close"), std::string::npos);
  }
}

}  // namespace
}  // namespace encke::wire

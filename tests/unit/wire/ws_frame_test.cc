#include "wire/ws_frame.h"

#include <array>
#include <string>

#include <gtest/gtest.h>

#include "unit/wire/hex.h"

namespace encke::wire {
namespace {

constexpr std::size_t kMax = 8192;

// A client's frame, masked with a key that differs in every byte.
std::string Masked(unsigned first, std::string_view payload) {
  std::string header;
  AppendWsHeader(&header, WsOpcode::kBinary, payload.size());
  header[0] = static_cast<char>(first);
  header[1] = static_cast<char>(header[1] | 0x80);
  const std::string key = Unhex("a1b2c3d4");
  std::string frame = header + key;
  for (std::size_t i = 0; i < payload.size(); ++i)
    frame += static_cast<char>(payload[i] ^ key[i % 4]);
  return frame;
}

std::string Pattern(std::size_t size) {
  std::string text;
  for (std::size_t i = 0; i < size; ++i)
    text += static_cast<char>(i * 7 + 1);
  return text;
}

WsParsed Parse(std::string* in, WsFrame* frame, std::size_t* consumed, std::size_t max = kMax) {
  return ParseWsFrame(in->data(), in->size(), max, frame, consumed);
}

TEST(WsFrame, ReadsTheExamplesOfTheStandard) {
  std::string masked = Unhex("818537fa213d7f9f4d5158");
  WsFrame frame;
  std::size_t consumed = 0;
  ASSERT_EQ(Parse(&masked, &frame, &consumed), WsParsed::kFrame);
  EXPECT_EQ(frame.payload, "Hello");
  EXPECT_EQ(frame.opcode, WsOpcode::kText);
  EXPECT_TRUE(frame.fin);
  EXPECT_EQ(consumed, masked.size());

  std::string plain = Unhex("810548656c6c6f");
  ASSERT_EQ(Parse(&plain, &frame, &consumed), WsParsed::kFrame);
  EXPECT_EQ(frame.payload, "Hello");
}

TEST(WsFrame, UnmasksEveryLengthAndAlignment) {
  for (std::size_t size = 0; size <= 200; ++size) {
    for (std::size_t shift = 0; shift < 8; ++shift) {
      const std::string body = Pattern(size);
      std::string in = std::string(shift, '.') + Masked(0x82, body) + "rest";
      WsFrame frame;
      std::size_t consumed = 0;
      ASSERT_EQ(ParseWsFrame(in.data() + shift, in.size() - shift, kMax, &frame, &consumed),
                WsParsed::kFrame);
      EXPECT_EQ(frame.payload, body);
      EXPECT_EQ(in.substr(shift + consumed), "rest");
    }
  }
}

TEST(WsFrame, ParsedTwiceIsTheSameFrame) {
  std::string in = Masked(0x82, Pattern(100));
  WsFrame frame;
  std::size_t consumed = 0;
  ASSERT_EQ(Parse(&in, &frame, &consumed), WsParsed::kFrame);
  ASSERT_EQ(Parse(&in, &frame, &consumed), WsParsed::kFrame);
  EXPECT_EQ(frame.payload, Pattern(100));
}

TEST(WsFrame, EveryPrefixWaitsAndIsLeftAlone) {
  for (const std::size_t size : {0u, 5u, 125u, 126u, 300u}) {
    const std::string whole = Masked(0x82, Pattern(size));
    for (std::size_t cut = 0; cut < whole.size(); ++cut) {
      std::string in = whole.substr(0, cut);
      WsFrame frame;
      std::size_t consumed = 0;
      ASSERT_EQ(Parse(&in, &frame, &consumed), WsParsed::kNeedMore) << size << " " << cut;
      ASSERT_EQ(in, whole.substr(0, cut));
    }
  }
}

TEST(WsFrame, LengthsOfAllThreeKinds) {
  for (const std::size_t size : {0u, 125u, 126u, 65535u, 65536u}) {
    std::string in;
    AppendWsHeader(&in, WsOpcode::kBinary, size);
    EXPECT_EQ(in.size(), size < 126 ? 2u : size < 65536 ? 4u : 10u);
    in += Pattern(size);
    WsFrame frame;
    std::size_t consumed = 0;
    ASSERT_EQ(Parse(&in, &frame, &consumed, 65536), WsParsed::kFrame);
    EXPECT_EQ(frame.payload, Pattern(size));
    EXPECT_EQ(consumed, in.size());
  }
}

struct RefusedCase {
  const char* what;
  const char* bytes;
  WsParsed answer;
};

TEST(WsFrame, RefusesWhatTheStandardRefuses) {
  constexpr std::array kCases = {
      RefusedCase{"RSV1", "c200", WsParsed::kProtocolError},
      RefusedCase{"RSV2", "a200", WsParsed::kProtocolError},
      RefusedCase{"RSV3", "9200", WsParsed::kProtocolError},
      RefusedCase{"opcode 3", "8300", WsParsed::kProtocolError},
      RefusedCase{"opcode 7", "8700", WsParsed::kProtocolError},
      RefusedCase{"opcode 11", "8b00", WsParsed::kProtocolError},
      RefusedCase{"opcode 15", "8f00", WsParsed::kProtocolError},
      RefusedCase{"fragmented ping", "0900", WsParsed::kProtocolError},
      RefusedCase{"long ping, head not even whole", "897e", WsParsed::kProtocolError},
      RefusedCase{"long close", "887e0080", WsParsed::kProtocolError},
      RefusedCase{"one byte over", "827e2001", WsParsed::kTooBig},
      RefusedCase{"2^64-1 bytes", "827fffffffffffffffff", WsParsed::kTooBig},
  };
  for (const RefusedCase& c : kCases) {
    std::string in = Unhex(c.bytes);
    WsFrame frame;
    std::size_t consumed = 0;
    EXPECT_EQ(Parse(&in, &frame, &consumed), c.answer) << c.what;
  }
}

TEST(WsAssembler, WholeMessagesAreNotCopied) {
  WsAssembler assembler;
  const std::string body = "whole";
  std::string_view message;
  ASSERT_EQ(assembler.Add({true, WsOpcode::kText, body}, kMax, &message),
            WsAssembler::Joined::kMessage);
  EXPECT_EQ(message.data(), body.data());
}

TEST(WsAssembler, JoinsFragmentsAndStartsAfresh) {
  WsAssembler assembler;
  std::string_view message;
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(assembler.Add({false, WsOpcode::kBinary, "one "}, kMax, &message),
              WsAssembler::Joined::kMore);
    EXPECT_EQ(assembler.Add({false, WsOpcode::kContinuation, ""}, kMax, &message),
              WsAssembler::Joined::kMore);
    ASSERT_EQ(assembler.Add({true, WsOpcode::kContinuation, "two"}, kMax, &message),
              WsAssembler::Joined::kMessage);
    EXPECT_EQ(message, "one two");
  }
  ASSERT_EQ(assembler.Add({true, WsOpcode::kText, "plain"}, kMax, &message),
            WsAssembler::Joined::kMessage);
  EXPECT_EQ(message, "plain");
}

TEST(WsAssembler, RefusesFragmentsOutOfTurn) {
  std::string_view message;
  WsAssembler lone;
  EXPECT_EQ(lone.Add({true, WsOpcode::kContinuation, "x"}, kMax, &message),
            WsAssembler::Joined::kProtocolError);
  WsAssembler mixed;
  EXPECT_EQ(mixed.Add({false, WsOpcode::kText, "x"}, kMax, &message), WsAssembler::Joined::kMore);
  EXPECT_EQ(mixed.Add({true, WsOpcode::kText, "y"}, kMax, &message),
            WsAssembler::Joined::kProtocolError);
  WsAssembler control;
  EXPECT_EQ(control.Add({true, WsOpcode::kPing, ""}, kMax, &message),
            WsAssembler::Joined::kProtocolError);
}

TEST(WsAssembler, BoundsBytesAndFragments) {
  std::string_view message;
  WsAssembler bytes;
  EXPECT_EQ(bytes.Add({false, WsOpcode::kText, "1234"}, 8, &message), WsAssembler::Joined::kMore);
  EXPECT_EQ(bytes.Add({true, WsOpcode::kContinuation, "56789"}, 8, &message),
            WsAssembler::Joined::kTooBig);
  WsAssembler whole;
  EXPECT_EQ(whole.Add({true, WsOpcode::kText, "123456789"}, 8, &message),
            WsAssembler::Joined::kTooBig);

  WsAssembler frames;
  ASSERT_EQ(frames.Add({false, WsOpcode::kText, ""}, 8, &message), WsAssembler::Joined::kMore);
  for (int i = 1; i < WsAssembler::kFragmentsMax; ++i) {
    ASSERT_EQ(frames.Add({false, WsOpcode::kContinuation, ""}, 8, &message),
              WsAssembler::Joined::kMore);
  }
  EXPECT_EQ(frames.Add({true, WsOpcode::kContinuation, ""}, 8, &message),
            WsAssembler::Joined::kTooBig);
}

TEST(WsClose, CarriesCodeAndReason) {
  std::string frame;
  AppendWsClose(&frame, kWsGoingAway, "bye");
  EXPECT_EQ(Hex(frame), "880503e9627965");
}

TEST(WsClose, CutsALongReasonBetweenCharacters) {
  std::string reason = "x";
  while (reason.size() < 200)
    reason += "\xc3\xa4";  // two bytes each: 123 falls between characters, 122 would not
  std::string frame;
  AppendWsClose(&frame, kWsNormal, reason);
  EXPECT_EQ(frame.size(), 2u + 2u + 123u);
  reason.insert(0, "x");
  frame.clear();
  AppendWsClose(&frame, kWsNormal, reason);
  EXPECT_EQ(frame.size(), 2u + 2u + 122u);
}

TEST(WsClose, AnswersWithALegalCode) {
  EXPECT_EQ(WsCloseAnswer(""), kWsNormal);
  EXPECT_EQ(WsCloseAnswer("\x03"), kWsProtocolError);
  EXPECT_EQ(WsCloseAnswer(Unhex("03e9")), kWsGoingAway);
  EXPECT_EQ(WsCloseAnswer(Unhex("0fa1") + "why"), 4001);
  for (const char* bad : {"0000", "03e7", "03ec", "03ed", "03ee", "03f7", "0bb7", "1388", "ffff"})
    EXPECT_EQ(WsCloseAnswer(Unhex(bad)), kWsProtocolError) << bad;
}

}  // namespace
}  // namespace encke::wire

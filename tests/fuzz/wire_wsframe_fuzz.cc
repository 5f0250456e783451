// Fuzz: frames of a WebSocket client, joined to messages; whole input against dribbled input.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "wire/ws_frame.h"

namespace {

using encke::wire::WsAssembler;
using encke::wire::WsFrame;
using encke::wire::WsParsed;

constexpr std::size_t kPayloadMax = 512;
constexpr std::size_t kMessageMax = 1024;

void Require(bool holds) {
  if (!holds) std::abort();
}

struct Seen {
  std::vector<std::string> story;
  bool broken = false;
};

void TakeFrame(const WsFrame& frame, WsAssembler* assembler, Seen* seen) {
  Require(frame.payload.size() <= kPayloadMax);
  if (static_cast<unsigned>(frame.opcode) >= 8) {
    Require(frame.fin && frame.payload.size() <= 125);
    seen->story.push_back("control " + std::string(frame.payload));
    encke::wire::WsCloseAnswer(frame.payload);
    return;
  }
  std::string_view message;
  const WsAssembler::Joined joined = assembler->Add(frame, kMessageMax, &message);
  seen->broken =
      joined == WsAssembler::Joined::kProtocolError || joined == WsAssembler::Joined::kTooBig;
  if (joined != WsAssembler::Joined::kMessage) return;
  Require(message.size() <= kMessageMax);
  seen->story.push_back("message " + std::string(message));
}

// Shows `step` more bytes at a time, as a slow network would.
Seen Read(std::string in, std::size_t step) {
  Seen seen;
  WsAssembler assembler;
  std::size_t begin = 0;
  for (std::size_t end = std::min(step, in.size()); !seen.broken;) {
    WsFrame frame;
    std::size_t consumed = 0;
    const WsParsed parsed =
        encke::wire::ParseWsFrame(in.data() + begin, end - begin, kPayloadMax, &frame, &consumed);
    if (parsed == WsParsed::kFrame) {
      Require(consumed >= 2 && consumed <= end - begin);
      TakeFrame(frame, &assembler, &seen);
      begin += consumed;
    } else if (parsed == WsParsed::kNeedMore && end < in.size()) {
      end = std::min(end + step, in.size());
    } else {
      seen.story.push_back(parsed == WsParsed::kNeedMore ? "end" : "refused");
      break;
    }
  }
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string in(reinterpret_cast<const char*>(data), size);
  const Seen whole = Read(in, size);
  const Seen dribbled = Read(in, 1);
  Require(whole.story == dribbled.story && whole.broken == dribbled.broken);
  return 0;
}

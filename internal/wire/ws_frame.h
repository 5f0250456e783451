#pragma once
// WebSocket frames, RFC 6455 section 5.
//
// From clients: text and binary alike, fragments joined, unmasked accepted (goim does), RSV bits
// refused, control frames <= 125 bytes and whole.  To clients: binary, FIN, unmasked.
//
// Owner    WsAssembler: the connection with a fragmented message under way; else nothing is kept.
// Thread   the connection's.
// Limit    payload_max a frame, message_max over all fragments, kFragmentsMax frames a message.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace encke::wire {

enum class WsOpcode : std::uint8_t {
  kContinuation = 0,
  kText = 1,
  kBinary = 2,
  kClose = 8,
  kPing = 9,
  kPong = 10
};

// Close codes we send (RFC 6455 section 7.4.1 and the application range).
inline constexpr std::uint16_t kWsNormal = 1000;
inline constexpr std::uint16_t kWsGoingAway = 1001;
inline constexpr std::uint16_t kWsProtocolError = 1002;
inline constexpr std::uint16_t kWsTooBig = 1009;

struct WsFrame {
  bool fin = true;
  WsOpcode opcode = WsOpcode::kBinary;
  std::string_view payload;  // unmasked in place
};

enum class WsParsed : std::uint8_t { kFrame, kNeedMore, kProtocolError, kTooBig };

// One frame from the head of `in`; unmasks the payload in place, hence the mutable pointer.  Only a
// whole frame is unmasked, and its masking key is zeroed with it: parsing the same bytes again
// gives the same frame.
WsParsed ParseWsFrame(
    char* in, std::size_t size, std::size_t payload_max, WsFrame* out, std::size_t* consumed);

// Joins fragments.  Null partial = no message under way, which is the case of nearly every
// connection at nearly every time.
class WsAssembler {
 public:
  static constexpr int kFragmentsMax = 100;
  enum class Joined : std::uint8_t { kMessage, kMore, kProtocolError, kTooBig };
  // A data frame (continuation, text, binary).  kMessage: *message is whole and borrows either the
  // frame or this object, until the next call.
  Joined Add(const WsFrame& frame, std::size_t message_max, std::string_view* message);

 private:
  struct Partial {
    std::string bytes;
    int fragments = 0;
    bool done = false;
  };
  std::unique_ptr<Partial> partial_;
};

void AppendWsHeader(std::string* out, WsOpcode opcode, std::size_t payload_bytes);
// The reason is cut to what fits into a control frame (123 bytes).
void AppendWsClose(std::string* out, std::uint16_t code, std::string_view reason);
// The code to answer a client's close frame with: its own if it is a legal one.
std::uint16_t WsCloseAnswer(std::string_view payload);

}  // namespace encke::wire

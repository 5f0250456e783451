#pragma once
// RecordingSink: writes down what channels get, in words: "7 <- 1000:hi 1001:" per Send.

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "hub/hub.h"
#include "wire/op.h"
#include "wire/package.h"
#include "wire/ws_frame.h"

namespace encke::hub {

// The pushes inside what a channel was sent, each as "op:body".
inline std::vector<std::string> Pushes(std::string bytes) {
  std::string_view rest = bytes;
  wire::WsFrame frame;
  std::size_t used = 0;
  if (!bytes.empty() && bytes[0] == '\x82') {
    if (wire::ParseWsFrame(bytes.data(), bytes.size(), bytes.size(), &frame, &used) !=
            wire::WsParsed::kFrame ||
        used != bytes.size())
      return {"broken frame"};
    rest = frame.payload.substr(wire::kHeaderBytes);
  }
  std::vector<std::string> pushes;
  while (rest.size() >= wire::kHeaderBytes) {
    const std::size_t size = GetU32(rest.data());
    if (size < wire::kHeaderBytes || size > rest.size()) return {"broken package"};
    pushes.push_back(std::to_string(static_cast<std::int32_t>(GetU32(rest.data() + 8))) + ":" +
                     std::string(rest.substr(wire::kHeaderBytes, size - wire::kHeaderBytes)));
    rest.remove_prefix(size);
  }
  if (!rest.empty()) return {"surplus bytes"};
  return pushes;
}

class RecordingSink final : public Sink {
 public:
  struct Sent {
    Slot slot;
    SharedBytes bytes;
    std::size_t messages;
  };

  Taken Send(Slot slot,
             const SharedBytes& bytes,
             std::size_t messages,
             const Rule& /*rule*/) override {
    sent.push_back({slot, bytes, messages});
    if (on_send) on_send(slot);
    return slow.contains(slot) ? Taken::kDropped : Taken::kSent;
  }

  // All that happened since the last call.
  std::string Story() {
    std::string story;
    for (const Sent& one : sent) {
      story += std::to_string(one.slot) + " <-";
      for (const std::string& push : Pushes(*one.bytes))
        story += " " + push;
      story += "\n";
    }
    sent.clear();
    return story;
  }

  std::vector<Sent> sent;
  std::set<Slot> slow;                // refuses what these get
  std::function<void(Slot)> on_send;  // may change the hub
};

inline std::string Hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (const char c : bytes) {
    hex += kDigits[static_cast<unsigned char>(c) >> 4];
    hex += kDigits[c & 15];
  }
  return hex;
}

}  // namespace encke::hub

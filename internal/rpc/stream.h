#pragma once
// Stream: one bidirectional gRPC stream, written by pulling.
//
// The owner keeps what waits in its own bounded place and calls Kick(); when the previous write is
// done the stream asks Fill() for the next message.  So batching grows by itself under load and no
// timer holds a lone message back.
//
// Owner    ClientStream: comet's LogicLink / job's CometLink.  ServerStream: gRPC until OnClosed.
// Thread   Fill, OnMessage, OnClosed come on gRPC threads: each never twice at once, Fill and
// OnMessage
//          may overlap.  Kick, Close: any thread, but not from inside Fill.
// Limit    one message in flight each way; the bytes that wait belong to the owner's bound.

#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"

namespace encke::rpc {

// The side of the conversation that we implement.
template <class Out, class In>
class StreamUser {
 public:
  virtual ~StreamUser() = default;
  virtual bool Fill(Out* out) = 0;                    // false: nothing waits
  virtual void OnMessage(const In& in) = 0;           // blocks the reading, not the writing
  virtual void OnClosed(const std::string& why) = 0;  // last call
};

// What the user holds.  Destroying it does not end the call; Close does, and OnClosed follows.
class StreamHandle {
 public:
  virtual ~StreamHandle() = default;
  virtual void Kick() = 0;
  virtual void Close() = 0;
};

}  // namespace encke::rpc

#pragma once
// Stream: one bidirectional gRPC stream, written by pulling.
//
// The user keeps what waits in its own bounded place and calls Kick(); when the previous write is
// done, and after a Kick or when Written() says so, the stream asks Fill() for the next message,
// but not twice within Gap(), a millisecond unless the user knows better.  So batching grows by
// itself under load, and a lone message leaves at once.
//
// Owner    client end: comet's LogicLink / job's CometLink.  Server end: gRPC until OnClosed.
// Thread   Fill, Written, OnMessage, OnClosed come on gRPC threads: each never twice at once, Fill
//          and OnMessage may overlap.  They must not destroy a Server and must not wait for long (a
//          small machine has two such threads for all streams); only the server end's OnMessage
//          may, it has a thread of its own, which a message reaches when TryMessage leaves it.
//          Fill also on that of KickHere.
//          Kick, Close: any thread, any time, also with a lock held that Fill takes.
// Limit    one message in flight each way; the bytes that wait belong to the user's bound.

#include <string>

#include "base/clock.h"

namespace encke::rpc {

// The side of the conversation that we implement.
template <class Out, class In>
class StreamUser {
 public:
  virtual ~StreamUser() = default;
  virtual bool Fill(Out* out) = 0;  // out is empty; false: nothing waits
  // How long the next message stays behind the one just filled; asked by Fill's caller.
  virtual Duration Gap() { return Duration(1); }
  // What was filled last has been written; never while Fill runs.  True: there may be more, Fill
  // comes again after Gap.  False saves the timer for it.
  virtual bool Written() { return true; }
  virtual void OnMessage(const In& in) = 0;  // blocks the reading, not the writing
  // Server end, before OnMessage, on a gRPC thread: true: taken.  False: it would have to wait;
  // OnMessage comes with the same message and goes on from there.  Saves a wake-up.
  virtual bool TryMessage(const In&) { return false; }
  virtual void OnClosed(const std::string& why) = 0;  // exactly once, the last call
};

// What the user holds.  Destroying it does not end the call; Close does, and OnClosed follows.
class StreamHandle {
 public:
  virtual ~StreamHandle() = default;
  virtual void Kick() = 0;
  // For who holds no such lock: Fill may come on this thread, before it returns.  Saves a wake-up.
  virtual void KickHere() { Kick(); }
  // What was filled before still leaves; Fill is not called again, OnMessage may be until OnClosed.
  // A peer that does not take its part in the goodbye is cut off after a second.
  virtual void Close() = 0;
};

}  // namespace encke::rpc

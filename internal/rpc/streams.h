#pragma once
// Streams: the two of ours, both ends: job <-> comet of api/comet.proto, comet <-> logic of
// api/logic.proto.  calls.h has what is asked and answered once.
//
// Owner    see rpc/stream.h.
// Thread   see rpc/stream.h.
// Limit    see rpc/stream.h.

#include <functional>
#include <memory>
#include <string>

#include "api/comet.pb.h"
#include "api/logic.pb.h"

#include "rpc/stream.h"

namespace grpc {
class Service;
class Channel;
}  // namespace grpc

namespace encke::rpc {

using PushClientUser = StreamUser<PushDown, PushUp>;           // job implements
using PushServerUser = StreamUser<PushUp, PushDown>;           // comet implements
using SessionClientUser = StreamUser<SessionUp, SessionDown>;  // comet implements
using SessionServerUser = StreamUser<SessionDown, SessionUp>;  // logic implements

// Opens the stream; the user is kept alive until its OnClosed returned.
std::shared_ptr<StreamHandle> OpenPush(const std::shared_ptr<grpc::Channel>& channel,
                                       std::shared_ptr<PushClientUser> user);
std::shared_ptr<StreamHandle> OpenSession(const std::shared_ptr<grpc::Channel>& channel,
                                          std::shared_ptr<SessionClientUser> user);

// The services for rpc::Server: for each stream that comes in, `accept` gets its handle and answers
// with its user.  Null refuses the stream (UNAVAILABLE, "draining").
std::shared_ptr<grpc::Service> MakePushService(
    std::function<std::shared_ptr<PushServerUser>(std::shared_ptr<StreamHandle>)> accept);
std::shared_ptr<grpc::Service> MakeSessionService(
    std::function<std::shared_ptr<SessionServerUser>(std::shared_ptr<StreamHandle>)> accept);

}  // namespace encke::rpc

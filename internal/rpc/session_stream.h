#pragma once
// SessionStream: the comet <-> logic stream of api/logic.proto, both ends.
//
// Owner    see rpc/stream.h.
// Thread   see rpc/stream.h.
// Limit    see rpc/stream.h.

#include <functional>
#include <memory>
#include <string>

#include "api/logic.pb.h"

#include "rpc/stream.h"

namespace grpc {
class Service;
class Channel;
}  // namespace grpc

namespace encke::rpc {

using SessionClientUser = StreamUser<SessionUp, SessionDown>;  // comet implements
using SessionServerUser = StreamUser<SessionDown, SessionUp>;  // logic implements

// Opens the stream; the user is kept alive until its OnClosed returned.
std::shared_ptr<StreamHandle> OpenSession(const std::shared_ptr<grpc::Channel>& channel,
                                          std::shared_ptr<SessionClientUser> user);

// The service for rpc::Server: for each stream that comes in, `accept` gets its handle and answers
// with its user.  Null refuses the stream (UNAVAILABLE, "draining").
std::shared_ptr<grpc::Service> MakeSessionService(
    std::function<std::shared_ptr<SessionServerUser>(std::shared_ptr<StreamHandle>)> accept);

}  // namespace encke::rpc

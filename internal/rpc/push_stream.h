#pragma once
// PushStream: the job <-> comet stream of api/comet.proto, both ends.
//
// Owner    see rpc/stream.h.
// Thread   see rpc/stream.h.
// Limit    see rpc/stream.h.

#include <functional>
#include <memory>
#include <string>

#include "api/comet.pb.h"

#include "rpc/stream.h"

namespace grpc {
class Service;
class Channel;
}  // namespace grpc

namespace encke::rpc {

using PushClientUser = StreamUser<PushDown, PushUp>;  // job implements
using PushServerUser = StreamUser<PushUp, PushDown>;  // comet implements

// Opens the stream; the user is kept alive until its OnClosed returned.
std::shared_ptr<StreamHandle> OpenPush(const std::shared_ptr<grpc::Channel>& channel,
                                       std::shared_ptr<PushClientUser> user);

// The service for rpc::Server: for each stream that comes in, `accept` gets its handle and answers
// with its user.  Null refuses the stream (UNAVAILABLE, "draining").
std::shared_ptr<grpc::Service> MakePushService(
    std::function<std::shared_ptr<PushServerUser>(std::shared_ptr<StreamHandle>)> accept);

}  // namespace encke::rpc

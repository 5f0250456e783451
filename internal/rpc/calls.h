#pragma once
// Calls: what is asked and answered once: the service of api/push_api.proto.  Answers come later,
// on any thread.
//
// Owner    main: the service goes after the server it was given to; gRPC owns a call until its
//          answer.
// Thread   calls come on gRPC threads and must not wait.
// Limit    rpc::Server's message_bytes_max; calls under way are the callee's to bound.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "api/push_api.pb.h"

namespace grpc {
class Service;
}  // namespace grpc

namespace encke::rpc {

// What a caller showed in its metadata.
struct Caller {
  std::string authorization, api_key;
};

enum class Verdict : std::uint8_t { kDone, kInvalid, kNoKey, kNotFound, kMayPass, kBroken };

template <class Reply>
struct Answer {
  Verdict verdict = Verdict::kDone;
  std::string text;  // why not
  Reply reply = {};
};

template <class Ask, class Reply>
using Call =
    std::function<void(const Caller&, const Ask&, std::function<void(Answer<Reply>)> done)>;

struct PushCalls {
  Call<v1::PushRequest, v1::PushReply> send;
  Call<v1::BatchRequest, v1::BatchReply> send_batch;
  Call<v1::ReportRequest, v1::ReportReply> get_report;
};

std::shared_ptr<grpc::Service> MakePushApi(PushCalls calls);

}  // namespace encke::rpc

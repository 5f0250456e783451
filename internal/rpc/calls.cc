#include "rpc/calls.h"

#include <utility>

#include <grpcpp/grpcpp.h>

#include "api/push_api.grpc.pb.h"

namespace encke::rpc {

namespace {

grpc::StatusCode CodeOf(Verdict verdict) {
  switch (verdict) {
    case Verdict::kDone:
      return grpc::StatusCode::OK;
    case Verdict::kInvalid:
      return grpc::StatusCode::INVALID_ARGUMENT;
    case Verdict::kNoKey:
      return grpc::StatusCode::UNAUTHENTICATED;
    case Verdict::kNotFound:
      return grpc::StatusCode::NOT_FOUND;
    case Verdict::kMayPass:
      return grpc::StatusCode::UNAVAILABLE;
    case Verdict::kBroken:
      break;
  }
  return grpc::StatusCode::INTERNAL;
}

std::string Shown(const grpc::CallbackServerContext& context, const char* name) {
  const auto found = context.client_metadata().find(name);
  if (found == context.client_metadata().end()) return "";
  return {found->second.data(), found->second.size()};
}

class PushApi final : public v1::Push::CallbackService {
 public:
  explicit PushApi(PushCalls calls) : calls_(std::move(calls)) {}

  grpc::ServerUnaryReactor* Send(grpc::CallbackServerContext* context,
                                 const v1::PushRequest* ask,
                                 v1::PushReply* reply) override {
    return Take(context, calls_.send, *ask, reply);
  }
  grpc::ServerUnaryReactor* SendBatch(grpc::CallbackServerContext* context,
                                      const v1::BatchRequest* ask,
                                      v1::BatchReply* reply) override {
    return Take(context, calls_.send_batch, *ask, reply);
  }
  grpc::ServerUnaryReactor* GetReport(grpc::CallbackServerContext* context,
                                      const v1::ReportRequest* ask,
                                      v1::ReportReply* reply) override {
    return Take(context, calls_.get_report, *ask, reply);
  }

 private:
  // `reply` and the reactor are gRPC's until Finish, also when the caller has gone.
  template <class Ask, class Reply>
  static grpc::ServerUnaryReactor* Take(grpc::CallbackServerContext* context,
                                        const Call<Ask, Reply>& call,
                                        const Ask& ask,
                                        Reply* reply) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    const Caller caller{Shown(*context, "authorization"), Shown(*context, "x-api-key")};
    call(caller, ask, [reactor, reply](Answer<Reply> answer) {
      *reply = std::move(answer.reply);
      reactor->Finish(grpc::Status(CodeOf(answer.verdict), answer.text));
    });
    return reactor;
  }

  const PushCalls calls_;
};

}  // namespace

std::shared_ptr<grpc::Service> MakePushApi(PushCalls calls) {
  return std::make_shared<PushApi>(std::move(calls));
}

}  // namespace encke::rpc

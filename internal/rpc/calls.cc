#include "rpc/calls.h"

#include <chrono>
#include <iterator>
#include <utility>

#include <grpcpp/grpcpp.h>

#include "api/comet.grpc.pb.h"
#include "api/push_api.grpc.pb.h"

#include "rpc/server.h"

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

// `reply` and the reactor are gRPC's until Finish, also when the caller has gone.
template <class Reply>
auto FinishOf(grpc::ServerUnaryReactor* reactor, Reply* reply) {
  return [reactor, reply](Answer<Reply> answer) {
    *reply = std::move(answer.reply);
    reactor->Finish(grpc::Status(CodeOf(answer.verdict), answer.text));
  };
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
  template <class Ask, class Reply>
  static grpc::ServerUnaryReactor* Take(grpc::CallbackServerContext* context,
                                        const Call<Ask, Reply>& call,
                                        const Ask& ask,
                                        Reply* reply) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    const Caller caller{Shown(*context, "authorization"), Shown(*context, "x-api-key")};
    call(caller, ask, FinishOf(reactor, reply));
    return reactor;
  }

  const PushCalls calls_;
};

class RollService final : public CometRoll::CallbackService {
 public:
  explicit RollService(MembersCall call) : call_(std::move(call)) {}

  grpc::ServerUnaryReactor* Members(grpc::CallbackServerContext* context,
                                    const MembersAsk* ask,
                                    MembersTold* reply) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    call_(*ask, FinishOf(reactor, reply));
    return reactor;
  }

 private:
  const MembersCall call_;
};

}  // namespace

std::shared_ptr<grpc::Service> MakePushApi(PushCalls calls) {
  return std::make_shared<PushApi>(std::move(calls));
}

std::shared_ptr<grpc::Service> MakeRollService(MembersCall call) {
  return std::make_shared<RollService>(std::move(call));
}

struct RollClient::Under {
  Gate::Pass pass;  // left last: the channels of a RollClient that goes are the last ones
  MembersAsk ask;
  std::unique_ptr<CometRoll::Stub> stub;
  std::function<void(Result<MembersTold>)> done;
  MembersTold reply = {};
  grpc::ClientContext context = {};
};

RollClient::~RollClient() { gate_.CloseAndWait(); }

void RollClient::Ask(const std::string& address,
                     const MembersAsk& ask,
                     Duration patience,
                     std::function<void(Result<MembersTold>)> done) {
  auto pass = gate_.TryEnter();
  if (!pass) return done(Error{Errc::kClosed, "stopping"});
  const auto channel = channels_.With([&](Channels& channels) {
    auto& known = channels[address];
    if (known == nullptr) known = MakeChannel(address);
    return known;
  });
  auto* under = new Under{std::move(*pass), ask, CometRoll::NewStub(channel), std::move(done)};
  under->context.set_deadline(std::chrono::system_clock::now() + patience);
  under->stub->async()->Members(
      &under->context, &under->ask, &under->reply, [under](const grpc::Status& status) {
        const std::unique_ptr<Under> last(under);
        if (status.ok()) return last->done(std::move(last->reply));
        const bool late = status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED;
        last->done(Error{late ? Errc::kTimeout : Errc::kUnavailable, status.error_message()});
      });
}

void RollClient::Keep(const std::set<std::string>& addresses) {
  Channels gone;  // they go without the lock
  channels_.With([&](Channels& channels) {
    for (auto at = channels.begin(); at != channels.end();) {
      const auto next = std::next(at);
      if (!addresses.contains(at->first)) gone.insert(channels.extract(at));
      at = next;
    }
  });
}

}  // namespace encke::rpc

#include "rpc/streams.h"

#include <utility>

#include "api/comet.grpc.pb.h"
#include "api/logic.grpc.pb.h"

#include "rpc/ends.h"

namespace encke::rpc {

namespace {

class PushService final : public CometPush::CallbackService {
 public:
  using End = ServerEnd<PushUp, PushDown>;

  explicit PushService(End::Accept accept) : accept_(std::move(accept)) {}

  grpc::ServerBidiReactor<PushDown, PushUp>* Push(grpc::CallbackServerContext* context) override {
    return End::Take(context, accept_);
  }

 private:
  const End::Accept accept_;
};

class SessionService final : public LogicSession::CallbackService {
 public:
  using End = ServerEnd<SessionDown, SessionUp>;

  explicit SessionService(End::Accept accept) : accept_(std::move(accept)) {}

  grpc::ServerBidiReactor<SessionUp, SessionDown>* Session(
      grpc::CallbackServerContext* context) override {
    return End::Take(context, accept_);
  }

 private:
  const End::Accept accept_;
};

}  // namespace

std::shared_ptr<StreamHandle> OpenPush(const std::shared_ptr<grpc::Channel>& channel,
                                       std::shared_ptr<PushClientUser> user) {
  using End = ClientEnd<PushDown, PushUp>;
  std::shared_ptr<CometPush::Stub> stub = CometPush::NewStub(channel);
  const auto start = [](CometPush::Stub* on, grpc::ClientContext* context, End* end) {
    on->async()->Push(context, end);
  };
  return End::Open(std::move(stub), start, std::move(user));
}

std::shared_ptr<StreamHandle> OpenSession(const std::shared_ptr<grpc::Channel>& channel,
                                          std::shared_ptr<SessionClientUser> user) {
  using End = ClientEnd<SessionUp, SessionDown>;
  std::shared_ptr<LogicSession::Stub> stub = LogicSession::NewStub(channel);
  const auto start = [](LogicSession::Stub* on, grpc::ClientContext* context, End* end) {
    on->async()->Session(context, end);
  };
  return End::Open(std::move(stub), start, std::move(user));
}

std::shared_ptr<grpc::Service> MakePushService(
    std::function<std::shared_ptr<PushServerUser>(std::shared_ptr<StreamHandle>)> accept) {
  return std::make_shared<PushService>(std::move(accept));
}

std::shared_ptr<grpc::Service> MakeSessionService(
    std::function<std::shared_ptr<SessionServerUser>(std::shared_ptr<StreamHandle>)> accept) {
  return std::make_shared<SessionService>(std::move(accept));
}

}  // namespace encke::rpc

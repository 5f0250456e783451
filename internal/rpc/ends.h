#pragma once
// ClientEnd and ServerEnd: a Pump on gRPC's callback API.  Included by *_stream.cc only.
//
// Owner    themselves until gRPC calls OnDone; users and pulls share.
// Thread   see rpc/stream.h.
// Limit    see rpc/stream.h.

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include <grpcpp/grpcpp.h>

#include "rpc/pump.h"

namespace encke::rpc {

template <class Out, class In>
class ClientEnd final : public grpc::ClientBidiReactor<Out, In>, public Pump<Out, In> {
 public:
  // `stub` has async()->*method(context, reactor), as generated.
  template <class Stub, class Method>
  static std::shared_ptr<StreamHandle> Open(std::shared_ptr<Stub> stub,
                                            const Method& method,
                                            std::shared_ptr<StreamUser<Out, In>> user) {
    auto end = std::make_shared<ClientEnd>();
    end->self_ = end;
    method(stub.get(), end->context_.get(), end.get());
    end->stub_ = std::move(stub);
    end->AddHold();  // pulls start writes from outside the reactions; removed in End
    end->Attach(std::move(user));
    end->StartCall();
    return end;
  }

 private:
  void Write(const Out* out) override { this->StartWrite(out); }
  void Read(In* in) override { this->StartRead(in); }
  void End(bool broken) override {
    if (!broken) this->StartWritesDone();
    this->RemoveHold();
  }
  void Cancel() override { context_->TryCancel(); }
  void Release() override {
    context_.reset();  // it holds the channel, too
    stub_.reset();
  }

  void OnReadDone(bool ok) override { this->OnRead(ok); }
  void OnWriteDone(bool ok) override { this->OnWritten(ok); }
  // gRPC joins its callback threads when the last channel or server of the process is destroyed, so
  // that must not happen on one of them.  Elsewhere the channel goes first, then the user is told:
  // whoever waits for OnClosed may end the process.
  void OnDone(const grpc::Status& status) override {
    std::string text;
    if (!status.ok()) {
      text = "status " + std::to_string(status.error_code()) + " " + status.error_message();
    }
    Later::Run([last = std::move(self_), text = std::move(text)]() mutable {
      last->Done(text);
      last.reset();
    });
  }

  std::unique_ptr<grpc::ClientContext> context_ = std::make_unique<grpc::ClientContext>();
  std::shared_ptr<void> stub_;
  std::shared_ptr<ClientEnd> self_;
};

inline constexpr Duration kNever{std::chrono::hours(24)};  // and then again

template <class Out, class In>
class ServerEnd final : public grpc::ServerBidiReactor<In, Out>, public Pump<Out, In> {
 public:
  using Accept = std::function<std::shared_ptr<StreamUser<Out, In>>(std::shared_ptr<StreamHandle>)>;

  explicit ServerEnd(grpc::CallbackServerContext* context) : context_(context) {}

  // The reactor that a generated method has to return.
  static grpc::ServerBidiReactor<In, Out>* Take(grpc::CallbackServerContext* context,
                                                const Accept& accept) {
    auto end = std::make_shared<ServerEnd>(context);
    end->self_ = end;
    if (auto user = accept(end)) {
      end->reader_ = std::thread([e = end.get()] { e->HandOver(); });
      end->Attach(std::move(user));
    } else {
      end->Finish(grpc::Status(grpc::StatusCode::UNAVAILABLE, "draining"));
    }
    return end.get();
  }

 private:
  void Write(const Out* out) override { this->StartWrite(out); }
  void Read(In* in) override { this->StartRead(in); }
  void End(bool) override { this->Finish(grpc::Status::OK); }  // a dead call ignores the status
  void Cancel() override { context_->TryCancel(); }

  // A server's OnMessage may wait (a comet's full mailbox), and gRPC has too few threads for that.
  void HandOver() {
    NameThread("rpc.read");
    while (arrived_.Wait(kNever)) {
      if (read_done_.exchange(false)) this->Deliver();
    }
    this->OnRead(false);
  }

  void OnReadDone(bool ok) override {
    if (!ok || !this->Reading()) return arrived_.Stop();
    if (this->TryDeliver()) return;
    read_done_ = true;
    arrived_.Wake();
  }
  void OnWriteDone(bool ok) override { this->OnWritten(ok); }
  void OnCancel() override { this->Shut("cancelled", /*broken=*/true); }
  void OnDone() override {
    const auto last = std::move(self_);
    if (reader_.joinable()) reader_.join();  // the last read has come, so it is on its way out
    this->Done("");
  }

  std::thread reader_;
  Pulse arrived_;
  std::atomic<bool> read_done_{false};
  grpc::CallbackServerContext* const context_;  // gRPC's, until OnDone
  std::shared_ptr<ServerEnd> self_;
};

}  // namespace encke::rpc

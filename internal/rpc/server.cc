#include "rpc/server.h"

#include <chrono>
#include <string_view>

#include <grpc/support/log.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include "base/log.h"

namespace encke::rpc {

namespace {

// Both ends ping after a second of silence and give the other 0.8 s to answer, so a peer that hangs
// or whose machine is gone is noticed within two seconds.
constexpr int kPingMs = 1000;
constexpr int kPongMs = 800;

// gRPC's own lines go where ours go; what matters to a user comes as an Error or in OnClosed.
void TameLog() {
  static const bool once = [] {
    gpr_set_log_function(
        [](gpr_log_func_args* line) { log::Debug("grpc {}", std::string_view(line->message)); });
    return true;
  }();
  static_cast<void>(once);
}

}  // namespace

struct Server::Impl {
  std::unique_ptr<grpc::Server> server;
  int port = 0;
};

Server::Server() : impl_(std::make_unique<Impl>()) {}

Server::~Server() { Stop(Duration(0)); }

Result<std::unique_ptr<Server>> Server::Start(const ServerOptions& options,
                                              const std::vector<grpc::Service*>& services) {
  TameLog();
  grpc::EnableDefaultHealthCheckService(true);
  std::unique_ptr<Server> out(new Server());
  grpc::ServerBuilder builder;
  builder.AddListeningPort(options.address, grpc::InsecureServerCredentials(), &out->impl_->port);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS,
                             static_cast<int>(options.ping_after.count()));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                             static_cast<int>(options.pong_within.count()));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, kPingMs / 4);
  builder.SetMaxReceiveMessageSize(options.message_bytes_max);
  builder.SetMaxSendMessageSize(options.message_bytes_max);
  for (grpc::Service* service : services)
    builder.RegisterService(service);
  out->impl_->server = builder.BuildAndStart();
  if (out->impl_->server == nullptr || out->impl_->port == 0) {
    return Error{Errc::kUnavailable, "gRPC cannot listen on " + options.address};
  }
  return out;
}

std::uint16_t Server::port() const { return static_cast<std::uint16_t>(impl_->port); }

void Server::Stop(Duration patience) {
  if (impl_->server == nullptr) return;
  impl_->server->Shutdown(std::chrono::system_clock::now() + patience);
  impl_->server.reset();
}

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& address) {
  TameLog();
  grpc::ChannelArguments args;
  args.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kPingMs);
  args.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kPongMs);
  args.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  args.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  args.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  args.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);  // how long one attempt to connect may take
  args.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  args.SetMaxReceiveMessageSize(ServerOptions().message_bytes_max);
  args.SetMaxSendMessageSize(ServerOptions().message_bytes_max);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), args);
}

}  // namespace encke::rpc

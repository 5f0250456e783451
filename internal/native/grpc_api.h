#pragma once
// GrpcApi: what rpc::MakePushApi is answered with.  Requests become the JSON that HTTP would have
// brought and are read by the same functions (native/read.h), so both doors refuse alike.
//
// Owner    main of logic; outlives the gRPC server.
// Thread   any; answers come from the threads of what it asked.
// Limit    those of native/read.h; body_bytes_max a push; calls_max under way, past it "may pass".

#include <cstddef>
#include <functional>

#include "auth/api_keys.h"
#include "base/metrics.h"
#include "native/api.h"
#include "native/read.h"
#include "rpc/calls.h"

namespace encke::native {

struct GrpcCounts {
  Counter calls, unauthorized, refused, failed, busy;
  Gauge under_way;
};

class GrpcApi {
 public:
  struct Options {
    std::size_t body_bytes_max = std::size_t{512} * 1024;
    std::int64_t calls_max = 8192;
  };
  GrpcApi(NativePorts ports, const auth::ApiKeys& keys, const Options& options);
  GrpcApi(const GrpcApi&) = delete;
  GrpcApi& operator=(const GrpcApi&) = delete;

  rpc::PushCalls calls();
  const GrpcCounts& counts() const { return counts_; }

 private:
  template <class Reply>
  using Done = std::function<void(rpc::Answer<Reply>)>;

  template <class Ask, class Reply>
  rpc::Call<Ask, Reply> Guard(void (GrpcApi::*handle)(const Ask&, const Done<Reply>&));
  template <class Reply>
  void Refuse(rpc::Verdict verdict, const Fault& fault, const Done<Reply>& done);
  template <class Reply>
  void Fail(const Error& error, const Done<Reply>& done);

  void Send(const v1::PushRequest& ask, const Done<v1::PushReply>& done);
  void SendBatch(const v1::BatchRequest& ask, const Done<v1::BatchReply>& done);
  void GetReport(const v1::ReportRequest& ask, const Done<v1::ReportReply>& done);

  const NativePorts ports_;
  const auth::ApiKeys& keys_;
  const Options options_;
  GrpcCounts counts_;
};

}  // namespace encke::native

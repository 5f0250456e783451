#pragma once
// Calls: what is asked and answered once: the service of api/push_api.proto, and who is in a room
// of a comet, both ends.  Answers come later, on any thread.
//
// Owner    main: a service goes after the server it was given to, a RollClient after who asks it;
//          gRPC owns a call until its answer.
// Thread   calls come on gRPC threads and must not wait.
// Limit    rpc::Server's message_bytes_max; calls under way are the callee's to bound.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "api/comet.pb.h"
#include "api/push_api.pb.h"

#include "base/clock.h"
#include "base/result.h"
#include "base/threads.h"

namespace grpc {
class Channel;
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

using MembersCall =
    std::function<void(const MembersAsk&, std::function<void(Answer<MembersTold>)> done)>;
std::shared_ptr<grpc::Service> MakeRollService(MembersCall call);

// Asks comets; keeps a channel to each address that it was asked for lately.
class RollClient {
 public:
  RollClient() = default;
  ~RollClient();  // waits for the calls under way
  RollClient(const RollClient&) = delete;
  RollClient& operator=(const RollClient&) = delete;

  // kUnavailable or kTimeout: no answer within `patience`.
  void Ask(const std::string& address,
           const MembersAsk& ask,
           Duration patience,
           std::function<void(Result<MembersTold>)> done);
  void Keep(const std::set<std::string>& addresses);  // forgets the others

 private:
  struct Under;  // one call under way
  using Channels = std::map<std::string, std::shared_ptr<grpc::Channel>>;
  Guarded<Channels> channels_;
  Gate gate_;
};

}  // namespace encke::rpc

#pragma once
// ClientPublisher: what clients say, checked and relayed like any push.
//
// Membership and rate are comet's to check; here: where, which operation, how much.  A message of a
// user is known by the client's own id, so that its repeat is stored once.
//
// Owner    main of logic; borrows Relay.
// Thread   any; answers on Relay's threads, or inline.
// Limit    ClientPublishOptions; questions under way are bounded by the stream that brings them.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "api/logic.pb.h"
#include "api/push.pb.h"

#include "base/metrics.h"
#include "push/push.h"

namespace encke::push {

struct ClientPublishOptions {
  std::vector<std::string> types = {"*"};  // of rooms; "*" = all
  bool users = true;                       // to users, into their inboxes
  int op_min = 1000;
  int op_max = 2'147'483'647;
  std::size_t body_bytes_max = 4096;
};

struct ClientPublishCounts {
  Counter accepted, refused, failed;
};

class ClientPublisher {
 public:
  using Accept = std::function<void(Push, OnAccepted)>;  // Relay's
  using Answer = std::function<void(Reply)>;
  // Backends hear of what was accepted; `type` is that of the room, or "user".
  using Tell = std::function<void(std::string_view type, const PushMsg&)>;
  ClientPublisher(ClientPublishOptions options, Accept accept, Tell tell = {});
  ClientPublisher(const ClientPublisher&) = delete;
  ClientPublisher& operator=(const ClientPublisher&) = delete;

  void Ask(const Request& request, const Answer& done);
  const ClientPublishCounts& counts() const { return counts_; }

 private:
  std::string WhyNot(const Request& request) const;
  void TellBackends(const Request& request, const Accepted& accepted) const;

  const ClientPublishOptions options_;
  const Accept accept_;
  const Tell tell_;
  ClientPublishCounts counts_;
};

}  // namespace encke::push

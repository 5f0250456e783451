#pragma once
// NativeApi: the backends' door of our own, /v1/...; api/openapi.yaml is for its users.
//
//   POST   /v1/pushes               one push, JSON or a raw body with a query
//   POST   /v1/pushes:batch         many different ones
//   GET    /v1/pushes/{id}          what became of one that asked for a report
//   GET    /v1/rooms/{room}/online  how many are in it
//   GET    /v1/rooms/{room}/members  who they are, in pages
//   POST   /v1/rooms/join, /leave   keys or mids enter or leave a room
//   GET    /v1/users/{mid}          where a user is
//   POST   /v1/kick                 closes connections
//   GET    /v1/history              pages of a timeline; DELETE forgets
//
// Owner    main of logic; the server it was given calls it until that server is stopped.
// Thread   the server's; answers come from the threads of what it asked.
// Limit    those of native/read.h, and the server's.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "auth/api_keys.h"
#include "base/metrics.h"
#include "native/read.h"
#include "presence/members.h"
#include "presence/presence.h"
#include "push/push.h"
#include "store/reports.h"
#include "timeline/history.h"
#include "web/http_server.h"

namespace encke::native {

// What the API needs of the parts behind it.
struct NativePorts {
  std::function<void(push::Push, push::OnAccepted)> accept;
  std::function<void(std::vector<push::Push>,
                     const std::function<void(std::size_t, Result<push::Accepted>)>& done)>
      accept_all;
  std::function<void(const std::vector<Mid>&, presence::Presence::OnPlaces)> find_mids;
  std::function<std::int32_t(std::string_view room)> count_of;
  std::function<void(const std::string& room,
                     const std::string& after,
                     std::size_t limit,
                     presence::Members::OnPage done)>
      members;
  std::function<void(const std::string& id, std::function<void(Result<store::Reports::Sums>)>)>
      report;
  std::function<void(const timeline::HistoryQuery&, timeline::History::OnPage)> history;
  std::function<void(const std::string& name, std::uint64_t upto, timeline::History::OnDone)> purge;
};

struct NativeCounts {
  Counter requests, unauthorized, refused, failed;
};

class NativeApi {
 public:
  // Registers its routes; before http.Start().
  NativeApi(web::HttpServer& http, NativePorts ports, const auth::ApiKeys& keys);
  NativeApi(const NativeApi&) = delete;
  NativeApi& operator=(const NativeApi&) = delete;

  const NativeCounts& counts() const { return counts_; }

 private:
  using Responder = web::Responder;
  struct Call {
    web::HttpRequest request;
    std::vector<std::string> segments;  // what stands for {...} in the path, decoded
  };
  using Handler = void (NativeApi::*)(Call&&, const Responder&);
  struct Row {
    std::string_view method;
    std::string_view path;
    Handler handler;
  };
  static const std::vector<Row>& Rows();

  void Handle(web::HttpRequest&& request, const Responder& responder);
  void PostPush(Call&& call, const Responder& responder);
  void PostBatch(Call&& call, const Responder& responder);
  void GetPush(Call&& call, const Responder& responder);
  void GetOnline(Call&& call, const Responder& responder);
  void GetMembers(Call&& call, const Responder& responder);
  void PostJoin(Call&& call, const Responder& responder);
  void PostLeave(Call&& call, const Responder& responder);
  void GetUser(Call&& call, const Responder& responder);
  void PostKick(Call&& call, const Responder& responder);
  void GetHistory(Call&& call, const Responder& responder);
  void DeleteHistory(Call&& call, const Responder& responder);

  using ReadOne = Read<push::Push> (*)(const Json&);
  void Command(const Call& call, ReadOne read, const Responder& responder);
  void Refuse(int status, const Fault& fault, const Responder& responder);
  void Fail(const Error& error, const Responder& responder);

  const NativePorts ports_;
  const auth::ApiKeys& keys_;
  NativeCounts counts_;
};

}  // namespace encke::native

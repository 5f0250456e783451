#pragma once
// HttpApi: the backends' door.  goim's nine routes with goim's replies, byte for byte where they
// can be: {"code":0,"message":""}, errors, redirects and all.  api/http.md is for its users.
//
// Owner    main of logic; the server it was given calls it until that server is stopped.
// Thread   the server's; answers to pushes come from Relay's threads.
// Limit    the server's.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/registry.pb.h"

#include "auth/api_keys.h"
#include "base/ids.h"
#include "base/metrics.h"
#include "base/result.h"
#include "presence/nodes.h"
#include "web/http_server.h"

namespace encke::presence {
class Presence;
}
namespace encke::push {
class Relay;
}

namespace encke::logic {

// What the API needs of the parts behind it.
struct HttpPorts {
  using OnStored = std::function<void(Status)>;
  std::function<void(std::int32_t op, std::vector<Key>, std::string body, OnStored)> push_keys;
  std::function<void(std::int32_t op, const std::vector<Mid>&, std::string body, OnStored)>
      push_mids;
  std::function<void(std::int32_t op, const RoomId&, std::string body, OnStored)> push_room;
  std::function<void(std::int32_t op, std::int32_t speed, std::string body, OnStored)> push_all;
  std::function<std::vector<std::pair<std::string, std::int32_t>>(std::string_view prefix,
                                                                  std::size_t limit)>
      top;
  std::function<std::int32_t(std::string_view room)> count_of;
  std::function<std::pair<std::int64_t, std::int64_t>()> totals;  // connections, addresses
  std::function<std::vector<std::string>(std::string_view platform, std::string_view client_ip)>
      weighted;
  std::function<std::vector<Instance>()> instances;
  presence::NodesOptions nodes;

  static HttpPorts Of(push::Relay& relay,
                      presence::Presence& presence,
                      presence::Nodes& nodes);  // in ports.cc
};

struct HttpApiCounts {
  Counter unauthorized, bad_requests, failed;  // no key; could not be read; not stored
};

class HttpApi {
 public:
  // Registers the routes and the fallback; before http.Start().
  HttpApi(web::HttpServer& http, HttpPorts ports, const auth::ApiKeys& keys);
  HttpApi(const HttpApi&) = delete;
  HttpApi& operator=(const HttpApi&) = delete;

  const HttpApiCounts& counts() const { return counts_; }

 private:
  using Handler = std::function<void(HttpApi&, web::HttpRequest&&, const web::Responder&)>;
  struct Row {
    std::string_view method;
    std::string_view path;
    Handler handler;
  };
  static const std::vector<Row>& Rows();

  void PushKeys(web::HttpRequest&& request, const web::Responder& responder);
  void PushMids(web::HttpRequest&& request, const web::Responder& responder);
  void PushRoom(web::HttpRequest&& request, const web::Responder& responder);
  void PushAll(web::HttpRequest&& request, const web::Responder& responder);
  void OnlineTop(web::HttpRequest&& request, const web::Responder& responder);
  void OnlineRoom(web::HttpRequest&& request, const web::Responder& responder);
  void OnlineTotal(web::HttpRequest&& request, const web::Responder& responder) const;
  void NodesWeighted(web::HttpRequest&& request, const web::Responder& responder) const;
  void NodesInstances(web::HttpRequest&& request, const web::Responder& responder) const;
  static void Elsewhere(web::HttpRequest&& request, const web::Responder& responder);

  void Refuse(const std::string& error, const web::Responder& responder);
  HttpPorts::OnStored Stored(const web::Responder& responder, int code_if_not);

  HttpPorts ports_;
  const auth::ApiKeys& keys_;
  HttpApiCounts counts_;
};

}  // namespace encke::logic

#include "logic/http_api.h"

#include <algorithm>
#include <utility>

#include <arpa/inet.h>

#include "goim/query.h"
#include "goim/reply.h"

namespace encke::logic {
namespace {

using web::HttpRequest;
using web::Responder;

bool IsAddress(const std::string& text) {
  in6_addr any{};
  return inet_pton(AF_INET, text.c_str(), &any) == 1 ||
         inet_pton(AF_INET6, text.c_str(), &any) == 1;
}

std::string FirstOf(std::string_view list) {
  std::string_view first = list.substr(0, list.find(','));
  const auto start = std::min(first.find_first_not_of(" \t"), first.size());
  const auto end = first.find_last_not_of(" \t");
  return std::string(end == std::string_view::npos ? "" : first.substr(start, end - start + 1));
}

// The client as the first proxy saw it; only used to choose a near comet, never to trust anybody.
std::string ClientIp(const HttpRequest& request) {
  for (const std::string_view header : {request.forwarded_for, request.real_ip}) {
    std::string ip = FirstOf(header);
    if (IsAddress(ip)) return ip;
  }
  return request.peer_ip;
}

}  // namespace

const std::vector<HttpApi::Row>& HttpApi::Rows() {
  static const std::vector<Row> rows = {
      {"POST", "/goim/push/keys", &HttpApi::PushKeys},
      {"POST", "/goim/push/mids", &HttpApi::PushMids},
      {"POST", "/goim/push/room", &HttpApi::PushRoom},
      {"POST", "/goim/push/all", &HttpApi::PushAll},
      {"GET", "/goim/online/top", &HttpApi::OnlineTop},
      {"GET", "/goim/online/room", &HttpApi::OnlineRoom},
      {"GET", "/goim/online/total", &HttpApi::OnlineTotal},
      {"GET", "/goim/nodes/weighted", &HttpApi::NodesWeighted},
      {"GET", "/goim/nodes/instances", &HttpApi::NodesInstances},
  };
  return rows;
}

HttpApi::HttpApi(web::HttpServer& http, HttpPorts ports, const auth::ApiKeys& keys)
    : ports_(std::move(ports)), keys_(keys) {
  for (const Row& row : Rows()) {
    http.Route(
        std::string(row.method), std::string(row.path),
        [this, handler = row.handler](HttpRequest&& request, const Responder& responder) {
          if (!keys_.Allow(request.authorization, request.api_key)) {
            counts_.unauthorized.Add();
            return responder.Send(goim::UnauthorizedReply());
          }
          handler(*this, std::move(request), responder);
        },
        // Pushes of one kind go the same way, in the order in which they were handed on.
        row.method == "POST" ? web::Together::kYes : web::Together::kNo);
  }
  http.Fallback(Elsewhere);
}

// A trailing slash leads back to the route without it; everything else is nowhere.
void HttpApi::Elsewhere(HttpRequest&& request, const Responder& responder) {
  std::string_view path = request.path;
  if (path.ends_with('/')) {
    path.remove_suffix(1);
    for (const Row& row : Rows()) {
      if (row.path == path && row.method == request.method) {
        return responder.Send(goim::RedirectReply(row.method, row.path, request.query));
      }
    }
  }
  responder.Send(goim::NotFoundReply());
}

void HttpApi::Refuse(const std::string& error, const Responder& responder) {
  counts_.bad_requests.Add();
  responder.Send(goim::BadQueryReply(error));
}

// goim says -400 without a word when a push to keys fails, and -500 with one for the others.
HttpPorts::OnStored HttpApi::Stored(const Responder& responder, int code_if_not) {
  return [this, responder, code_if_not](const Status& stored) {
    if (stored) return responder.Send(goim::CodeReply(goim::kOk, ""));
    counts_.failed.Add();
    const bool silent = code_if_not == goim::kRequestError;
    responder.Send(goim::CodeReply(code_if_not, silent ? "" : stored.error().text));
  };
}

void HttpApi::PushKeys(HttpRequest&& request, const Responder& responder) {
  goim::Query query(request.query);
  const std::int32_t op = query.Int32("operation", "Op");
  std::vector<Key> keys;
  for (std::string& key : query.Texts("keys")) {
    keys.emplace_back(std::move(key));
  }
  if (!query.error().empty()) return Refuse(query.error(), responder);
  auto stored = Stored(responder, goim::kRequestError);
  if (keys.empty()) return stored(Error{Errc::kInvalid, "no keys"});
  ports_.push_keys(op, std::move(keys), std::move(request.body), std::move(stored));
}

void HttpApi::PushMids(HttpRequest&& request, const Responder& responder) {
  goim::Query query(request.query);
  const std::int32_t op = query.Int32("operation", "Op");
  std::vector<Mid> mids;
  for (const std::int64_t mid : query.Int64s("mids")) {
    mids.emplace_back(mid);
  }
  if (!query.error().empty()) return Refuse(query.error(), responder);
  auto stored = Stored(responder, goim::kServerError);
  if (mids.empty()) return stored(Ok{});
  ports_.push_mids(op, mids, std::move(request.body), std::move(stored));
}

void HttpApi::PushRoom(HttpRequest&& request, const Responder& responder) {
  goim::Query query(request.query);
  const std::int32_t op = query.Int32("operation", "Op", goim::Need::kRequired);
  const std::string type = query.Text("type", "Type", goim::Need::kRequired);
  const std::string room = query.Text("room", "Room", goim::Need::kRequired);
  if (!query.error().empty()) return Refuse(query.error(), responder);
  if (type == "user") {  // where inboxes are
    return Stored(responder,
                  goim::kServerError)(Error{Errc::kInvalid, "type: \"user\" is that of inboxes"});
  }
  ports_.push_room(op, RoomId(type + "://" + room), std::move(request.body),
                   Stored(responder, goim::kServerError));
}

void HttpApi::PushAll(HttpRequest&& request, const Responder& responder) {
  goim::Query query(request.query);
  const std::int32_t op = query.Int32("operation", "Op", goim::Need::kRequired);
  const std::int32_t speed = query.Int32("speed", "Speed");
  if (!query.error().empty()) return Refuse(query.error(), responder);
  ports_.push_all(op, speed, std::move(request.body), Stored(responder, goim::kServerError));
}

void HttpApi::OnlineTop(HttpRequest&& request, const Responder& responder) {
  goim::Query query(request.query);
  const std::string type = query.Text("type", "Type", goim::Need::kRequired);
  const std::int64_t limit = query.Int64("limit", "Limit", goim::Need::kRequired);
  if (!query.error().empty()) return Refuse(query.error(), responder);
  if (limit < 0) return responder.Send({500, "", "", {}});  // where goim's handler dies
  responder.Send(goim::DataReply(goim::TopJson(ports_.top(type, static_cast<std::size_t>(limit)))));
}

void HttpApi::OnlineRoom(HttpRequest&& request, const Responder& responder) {
  goim::Query query(request.query);
  const std::string type = query.Text("type", "Type", goim::Need::kRequired);
  const std::string prefix = type + "://";
  std::vector<std::pair<std::string, std::int32_t>> counts;
  for (std::string& room : query.Texts("rooms", "Rooms", goim::Need::kRequired)) {
    const std::int32_t count = ports_.count_of(prefix + room);
    counts.emplace_back(std::move(room), count);
  }
  if (!query.error().empty()) return Refuse(query.error(), responder);
  responder.Send(goim::DataReply(goim::RoomCountsJson(std::move(counts))));
}

void HttpApi::OnlineTotal(HttpRequest&&, const Responder& responder) const {
  const auto [connections, addresses] = ports_.totals();
  responder.Send(goim::DataReply(goim::TotalsJson(connections, addresses)));
}

void HttpApi::NodesWeighted(HttpRequest&& request, const Responder& responder) const {
  const std::string platform = goim::Query(request.query).Text("platform", "Platform");
  const presence::NodesOptions& options = ports_.nodes;
  goim::Weighted out;
  out.domain = options.default_domain;
  out.tcp_port = options.tcp_port;
  out.ws_port = options.ws_port;
  out.wss_port = options.wss_port;
  out.heartbeat_seconds = options.heartbeat.count() / 1000;
  out.nodes = ports_.weighted(platform, ClientIp(request));
  out.backoff_max_delay = options.backoff_max_delay;
  out.backoff_base_delay = options.backoff_base_delay;
  out.backoff_factor = static_cast<float>(options.backoff_factor);
  out.backoff_jitter = static_cast<float>(options.backoff_jitter);
  out.heartbeat_max = options.heartbeat_max;
  responder.Send(goim::DataReply(goim::WeightedJson(out)));
}

void HttpApi::NodesInstances(HttpRequest&&, const Responder& responder) const {
  responder.Send(goim::DataReply(goim::InstancesJson(ports_.instances())));
}

}  // namespace encke::logic

#include "goim/reply.h"

#include <algorithm>

#include <fmt/core.h>

#include "goim/go_text.h"

namespace encke::goim {
namespace {

constexpr std::string_view kJson = "application/json; charset=utf-8";

web::HttpReply MakeReply(int status, std::string_view type, std::string body) {
  return {status, std::string(type), std::move(body), {}};
}

std::string CodeJson(int code, std::string_view message) {
  return fmt::format("{{\"code\":{},\"message\":{}}}", code, GoJson(message));
}

std::string TextsJson(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const std::string& text : texts) {
    if (out.size() > 1) out += ',';
    AppendGoJson(&out, text);
  }
  return out + "]";
}

// An object that leaves out what is zero, as Go's omitempty does.
class Sparse {
 public:
  void Add(std::string_view name, std::int64_t value) {
    if (value != 0) Put(name, fmt::format("{}", value));
  }
  void Add(std::string_view name, float value) {
    if (value != 0) Put(name, GoFloat32(value));
  }
  void Add(std::string_view name, std::string_view text) {
    if (!text.empty()) Put(name, GoJson(text));
  }
  void Put(std::string_view name, std::string_view json) {
    out_ += fmt::format("{}\"{}\":{}", out_.empty() ? "" : ",", name, json);
  }
  std::string Take() { return "{" + out_ + "}"; }

 private:
  std::string out_;
};

std::string InstanceJson(const Instance& comet) {
  const std::vector<std::string> grpc = {"grpc://" + comet.grpc()};
  std::string addrs;
  for (const std::string& addr : comet.addrs()) {
    addrs += (addrs.empty() ? "" : ",") + addr;
  }
  return fmt::format(
      "{{\"region\":{},\"zone\":{},\"env\":{},\"appid\":\"goim.comet\",\"hostname\":{},"
      "\"addrs\":{},\"version\":{},\"latest_timestamp\":{},\"metadata\":{{\"addrs\":{},"
      "\"conn_count\":\"{}\",\"ip_count\":\"{}\",\"offline\":\"{}\",\"weight\":\"{}\"}}}}",
      GoJson(comet.region()), GoJson(comet.zone()), GoJson(comet.env()), GoJson(comet.id()),
      TextsJson(grpc), GoJson(comet.version()), comet.updated_ns(), GoJson(addrs),
      comet.conn_count(), comet.ip_count(), comet.offline(), comet.weight());
}

// html.EscapeString, for the one page a browser may see.
std::string EscapedHtml(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&#34;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

}  // namespace

web::HttpReply CodeReply(int code, std::string_view message) {
  return MakeReply(200, kJson, CodeJson(code, message));
}

web::HttpReply DataReply(std::string_view json) {
  return MakeReply(200, kJson, fmt::format("{{\"code\":0,\"message\":\"\",\"data\":{}}}", json));
}

web::HttpReply BadQueryReply(std::string_view message) {
  return MakeReply(400, "text/plain; charset=utf-8", CodeJson(kRequestError, message));
}

web::HttpReply UnauthorizedReply() {
  web::HttpReply reply = MakeReply(
      401, kJson,
      CodeJson(kUnauthorized, "api key missing or unknown: Authorization: Bearer or X-API-Key"));
  reply.headers.emplace_back("WWW-Authenticate", "Bearer");
  return reply;
}

web::HttpReply NotFoundReply() { return MakeReply(404, "text/plain", "404 page not found"); }

web::HttpReply RedirectReply(std::string_view method,
                             std::string_view path,
                             std::string_view query) {
  const std::string to = fmt::format("{}{}{}", path, query.empty() ? "" : "?", query);
  const bool get = method == "GET";
  web::HttpReply reply = MakeReply(get ? 301 : 307, "", "");
  if (get) {
    reply.content_type = "text/html; charset=utf-8";
    reply.body = fmt::format("<a href=\"{}\">Moved Permanently</a>.\n\n", EscapedHtml(to));
  }
  reply.headers.emplace_back("Location", to);
  return reply;
}

std::string TopJson(const std::vector<std::pair<std::string, std::int32_t>>& rooms) {
  std::string out = "[";
  for (const auto& [id, count] : rooms) {
    out += fmt::format("{}{{\"room_id\":{},\"count\":{}}}", out.size() > 1 ? "," : "",
                       GoJson(RoomOfId(id)), count);
  }
  return out + "]";
}

// A Go map: one entry per name, sorted by it.
std::string RoomCountsJson(std::vector<std::pair<std::string, std::int32_t>> rooms) {
  std::sort(rooms.begin(), rooms.end());
  const auto same = [](const auto& a, const auto& b) { return a.first == b.first; };
  rooms.erase(std::unique(rooms.begin(), rooms.end(), same), rooms.end());
  std::string out = "{";
  for (const auto& [room, count] : rooms) {
    out += fmt::format("{}{}:{}", out.size() > 1 ? "," : "", GoJson(room), count);
  }
  return out + "}";
}

std::string TotalsJson(std::int64_t connections, std::int64_t addresses) {
  return fmt::format("{{\"conn_count\":{},\"ip_count\":{}}}", connections, addresses);
}

std::string WeightedJson(const Weighted& weighted) {
  Sparse backoff;
  backoff.Add("max_delay", std::int64_t{weighted.backoff_max_delay});
  backoff.Add("base_delay", std::int64_t{weighted.backoff_base_delay});
  backoff.Add("factor", weighted.backoff_factor);
  backoff.Add("jitter", weighted.backoff_jitter);
  Sparse out;
  out.Add("domain", weighted.domain);
  out.Add("tcp_port", std::int64_t{weighted.tcp_port});
  out.Add("ws_port", std::int64_t{weighted.ws_port});
  out.Add("wss_port", std::int64_t{weighted.wss_port});
  out.Add("heartbeat", weighted.heartbeat_seconds);
  if (!weighted.nodes.empty()) out.Put("nodes", TextsJson(weighted.nodes));
  out.Put("backoff", backoff.Take());
  out.Add("heartbeat_max", std::int64_t{weighted.heartbeat_max});
  return out.Take();
}

std::string InstancesJson(const std::vector<Instance>& instances) {
  if (instances.empty()) return "null";
  std::string out = "[";
  for (const Instance& comet : instances) {
    if (out.size() > 1) out += ',';
    out += InstanceJson(comet);
  }
  return out + "]";
}

std::string_view RoomOfId(std::string_view id) {
  const auto type_end = id.find("://");
  if (type_end == std::string_view::npos) return id;
  const std::string_view rest = id.substr(type_end + 3);
  std::string_view host = rest.substr(0, rest.find_first_of("/?#"));
  if (const auto user_end = host.rfind('@'); user_end != std::string_view::npos) {
    host.remove_prefix(user_end + 1);
  }
  return host.empty() ? rest : host;
}

}  // namespace encke::goim

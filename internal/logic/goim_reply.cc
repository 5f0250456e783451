#include "logic/goim_reply.h"

#include <algorithm>
#include <array>
#include <chrono>

#include <fmt/core.h>

#include "logic/go_text.h"

namespace encke::logic {
namespace {

constexpr std::string_view kJson = "application/json; charset=utf-8";

web::HttpReply Reply(int status, std::string_view type, std::string body) {
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

web::HttpReply GoimCode(int code, std::string_view message) {
  return Reply(200, kJson, CodeJson(code, message));
}

web::HttpReply GoimData(std::string_view json) {
  return Reply(200, kJson, fmt::format("{{\"code\":0,\"message\":\"\",\"data\":{}}}", json));
}

web::HttpReply GoimBadQuery(std::string_view message) {
  return Reply(400, "text/plain; charset=utf-8", CodeJson(kGoimRequestError, message));
}

web::HttpReply GoimUnauthorized() {
  web::HttpReply reply =
      Reply(401, kJson,
            CodeJson(kGoimUnauthorized,
                     "api key missing or unknown: Authorization: Bearer or X-API-Key"));
  reply.headers.emplace_back("WWW-Authenticate", "Bearer");
  return reply;
}

web::HttpReply GoimNotFound() { return Reply(404, "text/plain", "404 page not found"); }

web::HttpReply GoimRedirect(std::string_view method,
                            std::string_view path,
                            std::string_view query) {
  const std::string to = fmt::format("{}{}{}", path, query.empty() ? "" : "?", query);
  const bool get = method == "GET";
  web::HttpReply reply = Reply(get ? 301 : 307, "", "");
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

std::string WeightedJson(const std::vector<std::string>& nodes, const NodesOptions& options) {
  Sparse backoff;
  backoff.Add("max_delay", std::int64_t{options.backoff_max_delay});
  backoff.Add("base_delay", std::int64_t{options.backoff_base_delay});
  backoff.Add("factor", static_cast<float>(options.backoff_factor));
  backoff.Add("jitter", static_cast<float>(options.backoff_jitter));
  Sparse out;
  out.Add("domain", options.default_domain);
  out.Add("tcp_port", std::int64_t{options.tcp_port});
  out.Add("ws_port", std::int64_t{options.ws_port});
  out.Add("wss_port", std::int64_t{options.wss_port});
  const auto heartbeat = std::chrono::duration_cast<std::chrono::seconds>(options.heartbeat);
  out.Add("heartbeat", std::int64_t{heartbeat.count()});
  if (!nodes.empty()) out.Put("nodes", TextsJson(nodes));
  out.Put("backoff", backoff.Take());
  out.Add("heartbeat_max", std::int64_t{options.heartbeat_max});
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

}  // namespace encke::logic

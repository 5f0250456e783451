#include "options.h"

#include <charconv>
#include <string_view>

#include "client/addresses.h"
#include "tally/stamp.h"

namespace encke::bench {
namespace {

// Every flag is named here, once.
template <class O, class F>
void ForEach(O& o, F&& f) {
  f("comets", o.comets);
  f("http", o.http);
  f("sources", o.sources);
  f("api_key", o.api_key);
  f("transport", o.transport);
  f("version", o.version);
  f("connections", o.connections);
  f("threads", o.threads);
  f("in_progress", o.in_progress);
  f("ramp_rate", o.ramp_rate);
  f("connect_timeout", o.connect_timeout);
  f("attempts", o.attempts);
  f("heartbeat", o.heartbeat);
  f("mid_base", o.mid_base);
  f("keys", o.keys);
  f("room", o.room);
  f("rooms", o.rooms);
  f("members", o.members);
  f("push_rate", o.push_rate);
  f("batch", o.batch);
  f("seconds", o.seconds);
  f("warmup", o.warmup);
  f("body", o.body);
  f("targets", o.targets);
  f("route", o.route);
  f("http_connections", o.http_connections);
  f("pipeline", o.pipeline);
  f("http_timeout", o.http_timeout);
  f("drain", o.drain);
  f("run", o.run);
  f("churn_rate", o.churn_rate);
  f("pids", o.pids);
}

bool Read(std::string_view text, std::string* out) {
  *out = text;
  return true;
}

bool Read(std::string_view text, bool* out) {
  *out = text == "1" || text == "true";
  return *out || text == "0" || text == "false";
}

template <class Number>
bool Read(std::string_view text, Number* out) {
  const char* end = text.data() + text.size();
  const auto [at, failure] = std::from_chars(text.data(), end, *out);
  return failure == std::errc{} && at == end;
}

}  // namespace

// What a subcommand means by flags that are not given.
void Options::Prepare(const std::string& subcommand) {
  if (subcommand == "api") {
    http_connections = 16;
    pipeline = 1;
  }
  if (subcommand == "rooms" || subcommand == "api") rooms = members = 10;
}

// Flags that follow from others.
void Options::Finish(const std::string& subcommand) {
  if (rooms > 0 && members > 0) connections = rooms * members;
  if (subcommand == "push") members = targets;
  if (subcommand == "api" && (route == "mids" || route == "keys")) targets = members;
  if (route == "keys" || (subcommand == "push" && route.empty())) keys = true;
}

bool Options::Parse(const std::string& subcommand, int argc, char** argv, std::string* error) {
  Prepare(subcommand);
  for (int i = 0; i < argc; ++i) {
    const std::string_view word = argv[i];
    const auto equals = word.find('=');
    bool known = false;
    bool fine = false;
    if (word.starts_with("--") && equals != std::string_view::npos) {
      ForEach(*this, [&](std::string_view name, auto& field) {
        if (name != word.substr(2, equals - 2)) return;
        known = true;
        fine = Read(word.substr(equals + 1), &field);
      });
    }
    if (fine) continue;
    *error = std::string(known ? "not a value for its flag: " : "not a flag (--name=value): ");
    error->append(word);
    return false;
  }
  Finish(subcommand);
  return Check(error);
}

bool Options::Check(std::string* error) const {
  const auto refuse = [error](const char* why) {
    *error = why;
    return false;
  };
  if (version != 1 && version != 2) return refuse("--version is 1 or 2");
  if (transport != "tcp" && transport != "ws" && transport != "mix")
    return refuse("--transport is tcp, ws or mix");
  if (!route.empty() && !IsRoute(route)) return refuse("--route is room, mids, keys, all or batch");
  const auto doors = ParseComets(comets);
  Sources from;
  if (doors.empty()) return refuse("--comets is HOST:TCPPORT:WSPORT,... (IPv4)");
  if (!ParseSources(sources, doors, &from)) return refuse("--sources is ADDRESS/BITS (IPv4)");
  for (const auto part : SplitAtCommas(http)) {
    sockaddr_in to{};
    if (!ParseAddress(part, &to)) return refuse("--http is HOST:PORT,... (IPv4)");
  }
  if (SplitAtCommas(http).empty()) return refuse("--http is HOST:PORT,... (IPv4)");
  if (room.find("://") == std::string::npos) return refuse("--room is TYPE://ID");
  if (connections < 1 || threads < 1 || in_progress < 1 || attempts < 1)
    return refuse("--connections, --threads, --in_progress and --attempts are at least 1");
  if (threads > connections) return refuse("--threads: more than connections");
  if (rooms < 0 || members < 0) return refuse("--rooms and --members are not negative");
  if (batch < 1 || targets < 1 || http_connections < 1 || pipeline < 1)
    return refuse("--batch, --targets, --http_connections and --pipeline are at least 1");
  if (body < static_cast<int>(Stamp::kSize))
    return refuse("--body: 24 bytes are needed for run, stream, sequence and time");
  if (ramp_rate < 0 || push_rate < 0 || churn_rate < 0 || heartbeat < 0 || seconds < 0)
    return refuse("rates and times are not negative");
  return true;
}

nlohmann::ordered_json Options::ToJson() const {
  nlohmann::ordered_json out;
  ForEach(*this, [&out](const char* name, const auto& field) { out[name] = field; });
  if (!api_key.empty()) out["api_key"] = "(given)";
  return out;
}

bool Options::IsRoute(const std::string& name) {
  return name == "room" || name == "mids" || name == "keys" || name == "all" || name == "batch";
}

std::uint32_t Options::GroupsOf(const std::string& by_route) const {
  if (by_route == "all") return 1;
  if (by_route == "room" || by_route == "batch")
    return static_cast<std::uint32_t>(rooms > 0 ? rooms : 1);
  return static_cast<std::uint32_t>(connections > targets ? connections / targets : 1);
}

std::string Options::RoomName(std::uint32_t number) const {
  return rooms > 0 ? room + "-" + std::to_string(number) : room;
}

}  // namespace encke::bench

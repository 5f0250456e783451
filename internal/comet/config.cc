#include "comet/config.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <limits>
#include <optional>
#include <thread>
#include <utility>

#include "base/config.h"
#include "base/units.h"

namespace encke::comet {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::int64_t kMillion = 1'000'000;

void ReadSelf(ConfigReader& in, CometConfig& out) {
  in.Key("comet.public_addrs", &out.public_addrs);
  in.Key("comet.weight", &out.weight, 0, kMillion);
  in.Key("comet.offline", &out.offline);
  in.Key("comet.shards", &out.shards, 0, uplink::AskId::kShardsMax);
}

void ReadDoors(ConfigReader& in, CometConfig& out) {
  in.Key("tcp.listen", &out.tcp_listen);
  in.Key("ws.listen", &out.ws_listen);
  in.Key("wss.listen", &out.wss_listen);
  in.Key("tls.listen", &out.tls_listen);
  in.Key("tls.cert_files", &out.tls.cert_files);
  in.Key("tls.key_files", &out.tls.key_files);
  in.Key("grpc.listen", &out.grpc_listen);
  in.Key("grpc.advertise", &out.grpc_advertise);
}

void ReadSessions(ConfigReader& in, CometConfig& out) {
  session::SessionOptions& s = out.shard.session;
  net::ConnectionsOptions& n = out.shard.net;
  in.Key("session.handshake_timeout", &s.handshake_timeout, milliseconds(100), minutes(1));
  in.Key("session.heartbeat_default", &s.heartbeat_default, seconds(1), hours(24));
  in.Key("session.renew_interval", &s.renew_interval, seconds(1), hours(12));
  in.Key("session.slow_timeout", &s.slow_timeout, milliseconds(100), hours(1));
  in.Key("session.announce_rate", &s.announce_rate, 1, kMillion);
  in.Key("session.drain_rate", &s.drain_rate, 1, 10 * kMillion);
  in.Key("session.trust_forwarded", &s.trust_forwarded);
  n.connections_max = 0;  // FitToLimits makes it a number
  in.Key("session.connections_max", &n.connections_max, 0, 10 * kMillion);
  in.Key("session.input_bytes_max", &n.input_bytes_max, 16 * kKilo, 16 * kMega);
  in.Key("session.outbox_bytes_max", &n.outbox_bytes_max, 32 * kKilo, 64 * kMega);
  in.Key("session.sndbuf_bytes", &n.sndbuf_bytes, 0, 16 * kMega);
  in.Key("session.rcvbuf_bytes", &n.rcvbuf_bytes, 0, 16 * kMega);
}

void ReadRooms(ConfigReader& in, CometConfig& out) {
  hub::HubOptions& h = out.shard.hub;
  in.Key("room.batch_bytes_max", &h.batch_bytes_max, 1024, 64 * kMega);
  in.Key("room.batch_messages_max", &h.batch_messages_max, 1, kMillion);
  in.Key("room.pending_bytes_max", &h.pending_bytes_max, kMega, 64 * kGiga);
  in.Key("room.rooms_max", &h.rooms_max, 1, 100 * kMillion);
  in.Key("room.hot_bytes", &h.hot_bytes_per_s, 1024, 64 * kGiga);
  in.Key("room.hot_windows", &out.hot_windows);
  in.Key("room.slice_us", &out.shard.slice_us, 0, kMillion);
  in.Key("room.join_wait", &out.interest.join_wait, milliseconds(0), seconds(10));
  in.Key("room.linger", &out.interest.linger, milliseconds(0), hours(1));
}

void ReadVersion2(ConfigReader& in, CometConfig& out) {
  talk::TalkOptions& t = out.shard.talk;
  in.Key("version2.rooms_max", &t.rooms_max, 1, 10'000);
  in.Key("version2.requests_max", &t.requests_max, 1, 1'000);
  in.Key("version2.waiting_max", &t.waiting_max, 1, 100 * kMillion);
  in.Key("version2.request_timeout", &out.logic.request_timeout, milliseconds(100), minutes(1));
  in.Key("version2.sync_pushes_max", &t.sync_pushes_max, 1, 10'000);
  in.Key("version2.sync_bytes_max", &t.sync_bytes_max, 4 * kKilo, 16 * kMega);
  in.Key("version2.publish_rate", &t.publish_rate, 0.01, 1e6);
  in.Key("version2.publish_burst", &t.publish_burst, 1, 1e6);
}

void ReadPolicy(ConfigReader& in, const std::string& name, backlog::Policy* out) {
  const auto& words = backlog::kPolicyNames;
  std::string word = words[static_cast<std::size_t>(*out)];
  in.Choice(name, &word, {std::begin(words), std::end(words)});
  const auto at = std::find(std::begin(words), std::end(words), word) - std::begin(words);
  *out = static_cast<backlog::Policy>(at);
}

void ReadSlow(ConfigReader& in, backlog::Rules& rules) {
  for (const std::string& type : in.Children("rooms")) {
    const std::string slow = "rooms." + type + ".slow";
    backlog::Rule rule;
    ReadPolicy(in, slow, &rule.policy);
    const std::string ops = slow + "_ops.";
    for (const std::string& op : in.Children(slow + "_ops")) {
      const std::string name = ops + op;
      std::int32_t number = -1;
      const auto [end, error] = std::from_chars(op.data(), op.data() + op.size(), number);
      if (error != std::errc() || end != op.data() + op.size() || number < 0)
        in.Refuse(name, "is not an operation");
      backlog::Policy policy = rule.policy;
      ReadPolicy(in, name, &policy);
      rule.ops[number] = policy;
    }
    rules.Set(type, std::move(rule));
  }
}

void ReadPeers(ConfigReader& in, CometConfig& out) {
  uplink::LogicLinkOptions& l = out.logic;
  in.Key("logic.addresses", &out.logic_addresses);
  in.Key("logic.events_max", &l.events_max, 1, 10 * kMillion);
  in.Key("logic.bytes_max", &l.bytes_max, kMega, 4096 * kMega);
  in.Key("logic.connects_rate", &l.connects_rate, 0, kMillion);
  in.Key("logic.answer_timeout", &l.answer_timeout, milliseconds(100), minutes(1));
  in.Key("logic.report_interval", &l.report_interval, milliseconds(50), minutes(1));
  in.Key("nats.replicas", &out.nats_replicas, 1, 5);
}

void Derive(CometConfig& out) {
  if (out.shards == 0) {
    out.shards = std::clamp<int>(static_cast<int>(std::thread::hardware_concurrency()), 1,
                                 static_cast<int>(uplink::AskId::kShardsMax));
  }
  if (out.shard.slice_us == 0) {
    out.shard.hub.sends_per_turn = std::numeric_limits<std::size_t>::max();
  }
  out.registry.hear = "logic";
  out.logic.comet = out.id;
  out.shard.talk.server = out.id;
  out.logic.connect_timeout = out.shard.session.handshake_timeout + seconds(2);
  out.shard.session.report_interval = out.logic.report_interval;
}

// "live=500ms"
Status ReadHotWindows(CometConfig& out) {
  for (const std::string& text : out.hot_windows) {
    const auto equals = text.find('=');
    const auto window =
        equals == std::string::npos ? std::nullopt : ParseDuration(text.substr(equals + 1));
    if (!window || equals == 0 || *window < Duration(0) || *window > seconds(1)) {
      return Error{Errc::kInvalid, "room.hot_windows: " + text + " is not TYPE=0..1s"};
    }
    out.shard.hub.hot_windows[text.substr(0, equals)] = *window;
  }
  return Ok{};
}

Status Check(const CometConfig& config) {
  if (config.tls.cert_files.size() != config.tls.key_files.size()) {
    return Error{Errc::kInvalid, "tls.key_files: needs one key for each of tls.cert_files"};
  }
  if (config.grpc_listen.empty()) return Error{Errc::kInvalid, "grpc.listen: must not be empty"};
  const std::size_t slots = config.shard.net.connections_max / config.shards + 1;
  if (slots >= uplink::AskId::kSlotsMax) {
    return Error{Errc::kInvalid, "session.connections_max: over 16 million per shard"};
  }
  return Ok{};
}

}  // namespace

Result<CometConfig> LoadConfig(const std::string& path) {
  CometConfig out;
  ConfigReader in;
  if (auto opened = in.Open(path); !opened) return opened.error();
  daemon::ReadConfig(in, "comet", &out);
  ReadSelf(in, out);
  ReadDoors(in, out);
  ReadSessions(in, out);
  ReadRooms(in, out);
  ReadVersion2(in, out);
  ReadSlow(in, out.shard.hub.rules);
  ReadPeers(in, out);
  if (auto finished = daemon::FinishConfig(in, "comet", &out); !finished) return finished.error();
  if (auto read = ReadHotWindows(out); !read) return read.error();
  Derive(out);
  if (auto checked = Check(out); !checked) return checked.error();
  return out;
}

Instance Describe(const CometConfig& config, std::uint64_t boot, std::uint16_t grpc_port) {
  Instance self = daemon::SelfOf(config, "comet", boot);
  self.set_grpc(daemon::DialedAt(config.grpc_advertise, config.grpc_listen, grpc_port));
  for (const std::string& address : config.public_addrs)
    self.add_addrs(address);
  self.set_weight(config.weight);
  self.set_offline(config.offline);
  return self;
}

}  // namespace encke::comet

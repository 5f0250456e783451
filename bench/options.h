#pragma once
// Options of encke-bench; every field is a flag --name=value, and all are in the result.
//
// Owner    main.
// Thread   read-only after parsing.
// Limit    none.

#include <cstdint>
#include <string>

#include <nlohmann/json.hpp>

namespace encke::bench {

struct Options {
  // ---- where
  std::string comets = "127.0.0.1:3101:3102";  // host:tcpport:wsport,...; clients spread evenly
  std::string http = "127.0.0.1:3111";         // host:port,...; HTTP connections spread evenly
  std::string sources = "auto";  // addresses to connect from, ADDRESS/BITS; auto: 127.1.0.0/24
                                 // when every comet is on loopback, else the kernel's choice
  std::string api_key;           // Authorization: Bearer, for the HTTP API
  // ---- clients
  std::string transport = "mix";  // tcp, ws, or half and half
  int version = 1;                // of the client protocol; goim has only 1
  int connections = 1000;         // rooms, api: rooms x members
  int threads = 1;                // one epoll loop each
  int in_progress = 256;          // connects under way, per thread
  double ramp_rate = 0;           // connects begun per second in all; 0 = as fast as answered
  double connect_timeout = 15;    // seconds from connect() to the auth reply
  int attempts = 3;               // per client; then it counts as failed
  double heartbeat = 240;         // seconds; 0 = none
  std::int64_t mid_base = 1;      // client i is user mid_base + i
  bool keys = false;              // say a key, bench-MID, at auth (push by keys does)
  std::string room = "bench://1";
  int rooms = 0;    // > 0: rooms ROOM-0, ROOM-1, ...
  int members = 0;  // of each room
  // ---- pushes
  double push_rate = 20;     // per second (rooms: for each room); api: 0 = as fast as answered
  int batch = 1;             // pushes sent back to back, to one target each tick
  double seconds = 10;       // of pushing, holding or churning
  double warmup = 0;         // seconds of pushing before, not counted
  int body = 50;             // bytes
  int targets = 1;           // push by mids and keys: receivers named in one request
  std::string route;         // room, mids, keys, all, batch (POST /v1/pushes:batch with
                             // --batch room pushes); empty = what the subcommand means
  int http_connections = 1;  // kept alive; api: 16
  int pipeline = 16;         // unanswered requests per HTTP connection; api: 1
  double http_timeout = 10;  // seconds without an answer: that connection's pushes are refused
  double drain = 10;         // give up on missing deliveries after so long without any
  std::int64_t run = 0;      // in every payload; 0 = a new one (members: take any)
  double churn_rate = 0;     // leaves and joins per second
  // ---- what to watch
  std::string pids;  // "comet=123,logic=124": whose CPU and memory to report

  // The flags of one subcommand, over its defaults.  Mistakes end up in *error.
  bool Parse(const std::string& subcommand, int argc, char** argv, std::string* error);
  nlohmann::ordered_json ToJson() const;

  // A group is who one push is for: a room, `targets` users, or everybody.  Clients stand in groups
  // of group_size() in their order.
  int group_size() const { return members > 0 ? members : connections; }
  std::uint32_t GroupsOf(const std::string& by_route) const;
  static bool IsRoute(const std::string& name);
  std::string RoomName(std::uint32_t number) const;
  std::string KeyOf(std::int64_t mid) const { return "bench-" + std::to_string(mid); }

 private:
  void Prepare(const std::string& subcommand);
  void Finish(const std::string& subcommand);
  bool Check(std::string* error) const;
};

}  // namespace encke::bench

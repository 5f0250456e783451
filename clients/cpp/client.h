#pragma once
// Client: one connection of version 2 over TCP that comes back by itself and delivers each timeline
// exactly once and in order.  Brings no loop: poll fd() for events(), call OnReady and Tick.
//
//   Client client({.addresses = {"127.0.0.1:3101"}, .token = R"({"mid":7})", .device = "d"}, {
//       .push = [](const Push& push) { ... }});
//   client.Join("group://42");
//   for (;;) { poll(...); client.OnReady(); client.Tick(now_ms); }
//
// Owner    the caller.
// Thread   one; events may not call back, except Say.
// Limit    publishes_max publishes without an answer; a package of package_bytes_max.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "api/client.pb.h"

#include "clients/cpp/timeline.h"

namespace encke::client {

struct ClientOptions {
  std::vector<std::string> addresses;  // host:port, tried in turn; IPv4 in figures
  std::string token;
  std::string device;
  std::string platform = "cpp";
  std::vector<std::int32_t> accepts = {};
  std::int64_t answer_ms = 10'000;  // from dialling to the answer to Connect
  std::int64_t backoff_first_ms = 200;
  std::int64_t backoff_max_ms = 10'000;
  std::size_t publishes_max = 1'000;
  std::size_t package_bytes_max = std::size_t{4} * 1024 * 1024;
  std::uint32_t seed = std::random_device{}();
};

class Client {
 public:
  struct Events {
    std::function<void(const Push&)> push;
    std::function<void(const std::string& room)> reload = nullptr;
    std::function<void(const Gap&)> lost = nullptr;  // outside timelines: nobody can fill it
    std::function<void(const ConnectReply&)> up = nullptr;
    std::function<void(const std::string& why)> down = nullptr;
    std::function<void(const PublishReply&)> published = nullptr;
  };
  Client(ClientOptions options, Events events);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Before or after it is up; kept over reconnects.  A cursor of an earlier life resumes there.
  void Join(const std::string& room, std::uint64_t epoch = 0, std::uint64_t seq = 0);
  void Leave(const std::string& room);
  // Said again until answered; false: publishes_max wait.
  bool Say(Publish publish);
  void Acknowledge();  // the inbox, up to what was delivered

  int fd() const { return fd_; }  // -1: not connected now
  short events() const;           // for poll
  void OnReady();
  void Tick(std::int64_t now_ms);  // every 100 ms or so
  bool up() const { return up_; }
  bool over() const { return over_; }  // the server said: do not come back
  Cursor cursor(const std::string& room) const;
  bool live(const std::string& room) const;  // up, and nothing of it is missing as far as we know

 private:
  void Dial();
  void Greet();
  void Drop(const std::string& why);
  void Send(std::int32_t op, const google::protobuf::MessageLite& body);
  void Flush();
  void Read();
  bool TakePackage();
  void OnPackage(std::int32_t op, std::string_view body);
  void OnConnected(std::string_view body);
  void OnJoined(const Joined& joined);
  void OnHeads(std::string_view body);
  void OnClose(std::string_view body);
  void Route(const Push& push);
  void SendSyncs();
  void SayAgain();
  void SendJoins(const std::vector<Cursor>& cursors);
  void Later(const Error& error);
  void AskAgain();
  Timeline& Make(const std::string& room, std::uint64_t epoch, std::uint64_t seq);

  const ClientOptions options_;
  const Events events_;
  std::map<std::string, Timeline> timelines_;  // rooms wanted, and the inbox
  std::string inbox_;
  std::map<std::string, Publish> unanswered_;
  int fd_ = -1;
  bool connecting_ = false, up_ = false, over_ = false;
  std::string in_, out_;
  std::int32_t seq_ = 0;
  std::size_t next_address_ = 0;
  std::int64_t now_ms_ = 0, dial_at_ms_ = 0, dialled_ms_ = 0, up_ms_ = 0, beat_at_ms_ = 0;
  std::int64_t say_again_ms_ = 0;  // 0 = nothing was refused
  std::int64_t ask_again_ms_ = 0;  // likewise, of joins and syncs
  std::set<std::string> join_again_;
  std::int64_t heartbeat_ms_ = 0, backoff_ms_ = 0, advised_ms_ = 0;
  std::minstd_rand random_;
};

}  // namespace encke::client

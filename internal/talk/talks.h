#pragma once
// Talks: version 2 of the client protocol on one shard, from the welcome on (api/client.md).
//
// Requests that logic must answer wait in a table by id and are done when the answer comes; nothing
// here knows a socket: Host does.
//
// Owner    session's Sessions, which is the Host.
// Thread   the shard's.
// Limit    waiting_max questions to logic on this shard, requests_max of one client (past it
// nothing
//          is read from it); rooms_max per client; publish_rate; the rest in guest.h.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "api/client.pb.h"
#include "api/logic.pb.h"

#include "base/clock.h"
#include "base/metrics.h"
#include "hub/hub.h"
#include "talk/guest.h"
#include "talk/words.h"
#include "uplink/logic_port.h"
#include "wire/package.h"

namespace encke::talk {

// The shard that asked, from the id of the question.
constexpr int kShardBits = 8;
constexpr std::uint32_t ShardOf(std::uint64_t id) {
  return static_cast<std::uint32_t>(id >> (64 - kShardBits));
}

struct TalkOptions {
  std::size_t rooms_max = 100;
  std::size_t requests_max = 32;
  std::size_t waiting_max = 200'000;
  std::size_t sync_pushes_max = 200;
  std::size_t sync_bytes_max = std::size_t{256} * 1024;
  double publish_rate = 20;  // a second
  double publish_burst = 40;
  std::string server;  // our name
  std::function<std::int64_t()> wall_us = &WallUs;
};

struct TalkStats {
  Counter welcomes, joins, leaves, joins_refused;
  Counter publishes, publishes_refused, publishes_rate;
  Counter syncs, resumes, synced_pushes, reloads;
  Counter errors;        // requests that made no sense
  Counter waiting_full;  // questions refused by waiting_max or the link to logic
  Counter gaps, excluded_told;
  Counter answers_late;  // from logic, for a client that left
};

enum class Ending : std::uint8_t { kUnread, kSecondConnect };

class Host {
 public:
  virtual ~Host() = default;
  virtual bool Alive(hub::Slot slot, std::uint32_t serial) const = 0;
  virtual std::uint32_t SerialOf(hub::Slot slot) const = 0;
  virtual Guest* GuestOf(hub::Slot slot) = 0;  // null: version 1
  virtual std::int64_t MidOf(hub::Slot slot) const = 0;
  virtual std::int64_t HeartbeatMs(hub::Slot slot) const = 0;
  virtual std::int64_t NowMs() const = 0;
  virtual std::size_t Queued(hub::Slot slot) const = 0;  // bytes that it did not read yet
  // False: its outbox is full and nothing was said.
  virtual bool Say(hub::Slot slot, std::int32_t op, std::int32_t seq, std::string_view body) = 0;
  virtual void Beat(hub::Slot slot) = 0;             // it lives
  virtual void Hold(hub::Slot slot, bool held) = 0;  // while held nothing is read from it
  virtual void AskJobs(hub::Slot slot, const std::string& room, std::uint32_t entry) = 0;
  virtual void Admit(hub::Slot slot) = 0;  // its rooms are known: Welcome comes
  virtual bool Join(hub::Slot slot, const std::string& room) = 0;  // false: no more rooms
  virtual void LeaveRoom(hub::Slot slot, const std::string& room) = 0;
  virtual void End(hub::Slot slot, Ending why) = 0;
};

class Talks {
 public:
  Talks(const TalkOptions& options,
        std::uint32_t shard,
        Host& host,
        hub::Hub& hub,
        uplink::LogicPort& logic);

  // Logic let the client in; its guest has the Connect.
  void Enter(hub::Slot slot, const ConnectReply& answer);
  void Known(hub::Slot slot, std::uint32_t entry);  // a room of it is routed here now
  void Welcome(hub::Slot slot, const ConnectReply& answer);
  void OnPackage(hub::Slot slot, const wire::Package& package);
  void OnReply(const Reply& reply);  // from logic
  void OnDrained(hub::Slot slot);    // it read all there was

  // A backend's will.
  void Join(hub::Slot slot, const std::string& room);
  void Leave(hub::Slot slot, const std::string& room);

  void Missed(hub::Slot slot, const hub::Miss& miss);
  bool Excluded(hub::Slot slot, const hub::Extras& extras) const;

  TalkStats& stats() { return stats_; }
  std::size_t waiting() const { return waiting_.size(); }

 private:
  using Then = std::function<void(hub::Slot, const Reply&)>;
  struct Waiting {
    hub::Slot slot = 0;
    std::uint32_t serial = 0;
    Then then;
  };

  // talks.cc
  void Ask(hub::Slot slot, Request request, Then then);
  void AskHeads(hub::Slot slot, const std::vector<std::string>& timelines, Then then);
  void Count(hub::Slot slot, bool more);
  void Rehold(hub::Slot slot);
  void Answer(hub::Slot slot,
              std::int32_t op,
              std::int32_t seq,
              const google::protobuf::MessageLite& body);
  template <class Message>
  void Refuse(hub::Slot slot, std::int32_t op, std::int32_t seq, const client::Error& error);
  void TellGaps(hub::Slot slot);

  // joins.cc
  void OnJoin(hub::Slot slot, const wire::Package& package);
  void OnLeave(hub::Slot slot, const wire::Package& package);
  void Begin(hub::Slot slot, Entry entry);
  void EnterRooms(hub::Slot slot, Entry* entry);
  void FinishJoin(hub::Slot slot, Entry entry);
  void Settle(hub::Slot slot, const Reply& heads, const client::Cursor& cursor, client::Joined* in);
  void Forget(hub::Slot slot, const std::string& room);

  // requests.cc
  void OnPublish(hub::Slot slot, const wire::Package& package);
  void OnAck(hub::Slot slot, const wire::Package& package);
  void OnSync(hub::Slot slot, const wire::Package& package);
  void OnBeat(hub::Slot slot, const wire::Package& package);
  bool MayPublish(Guest& guest);
  void NextSync(hub::Slot slot);
  void OnFetched(hub::Slot slot, const SyncWish& wish, const Reply& reply);
  void PutFetched(hub::Slot slot, const Fetched& fetched, client::SyncReply* out);

  const TalkOptions options_;
  const std::uint32_t shard_;
  Host& host_;
  hub::Hub& hub_;
  uplink::LogicPort& logic_;
  TalkStats stats_;
  std::unordered_map<std::uint64_t, Waiting> waiting_;
  std::uint64_t asked_ = 0;
  const std::uint64_t boot_;  // makes client ids of ours unique
};

template <class Message>
void Talks::Refuse(hub::Slot slot, std::int32_t op, std::int32_t seq, const client::Error& error) {
  stats_.errors.Add();
  Message reply;
  *reply.mutable_error() = error;
  Answer(slot, op, seq, reply);
}

}  // namespace encke::talk

#pragma once
// Sessions: all clients of one shard, from accept to goodbye: where net, wire, hub and talk meet.
//
// Replies are produced in request order: while logic or the jobs are asked on behalf of a client
// nothing more is read from it.  The replies of one read leave in one send.  A client that does not
// read its replies is not read either.
//
// What rooms with policies of their own push waits in a backlog when the outbox is in use: in one
// line for each slow client, which is fed into the outbox piece by piece.
//
// Owner    Shard.
// Thread   the shard's.
// Limit    net's connections_max; input and outbox per connection are bounded by net; a backlog by
//          what the outbox leaves of the same bound.

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "backlog/backlog.h"
#include "base/clock.h"
#include "downlink/interest.h"
#include "hub/directory.h"
#include "hub/hub.h"
#include "net/connections.h"
#include "session/addresses.h"
#include "session/ops.h"
#include "session/session.h"
#include "session/stats.h"
#include "talk/talks.h"
#include "uplink/census.h"
#include "uplink/logic_port.h"
#include "wire/package.h"

namespace encke::session {

struct SessionOptions {
  Duration handshake_timeout{8'000};    // from accept to the auth reply
  Duration heartbeat_default{480'000};  // when logic names none
  Duration slow_timeout{30'000};        // with a full outbox
  Duration renew_interval{600'000};     // spread by half
  Duration report_interval{1'000};      // of room counts
  int announce_rate = 10'000;    // renewals a second after the session map was lost, per comet
  int drain_rate = 20'000;       // closes a second when stopping, per comet
  bool trust_forwarded = false;  // X-Forwarded-For names the client
};

// How one shard talks to another and how answers come home: the task runs in that shard's loop.
class Mail {
 public:
  virtual ~Mail() = default;
  virtual void Tell(std::uint32_t shard, std::function<void(Sessions&)> task) = 0;
};

struct SessionParts {  // shared by all shards; each guards itself
  uplink::LogicPort& logic;
  downlink::Interest& interest;
  hub::Directory& directory;
  uplink::Census& census;
  Addresses& addresses;
  Mail& mail;
};

struct ShardOptions {
  std::uint32_t index = 0;
  std::uint32_t shards = 1;
  SessionOptions session;
  net::ConnectionsOptions net;  // connections_max of this shard
  hub::HubOptions hub;
  // A flush works this long before sockets and mailbox have their turn; 0 = until a walk is done.
  std::int64_t slice_us = 1000;
  talk::TalkOptions talk;
};

class Sessions final : public net::Handler, public hub::Sink, public talk::Host {
 public:
  Sessions(net::Loop& loop, const ShardOptions& options, const SessionParts& parts);

  Result<std::uint16_t> Listen(Transport transport, const std::string& address, net::Tls* tls);

  // Answers that come home.
  void Answer(ConnectReply reply);
  void Hear(const encke::Reply& reply) { talks_.OnReply(reply); }
  void Known(net::Slot slot, std::uint32_t serial, std::uint32_t entry);
  // Somebody else logged in with the key of this slot: the older login ends.
  void Contest(net::Slot slot,
               const std::string& key,
               std::uint64_t generation,
               uplink::AskId rival);
  void Yield(uplink::AskId loser);

  void Announce();  // renews every session, paced
  void Drain();     // stops accepting and closes every session, paced
  void HurryDrain();
  void Tick();  // every 100 ms or so, while walking every 20
  bool walking() const { return announce_.on || drain_.on; }

  // What operations need (ops.cc).
  void Ask(net::Slot slot, const wire::Package& auth);
  void AskTwo(net::Slot slot, const wire::Package& package);
  void Move(net::Slot slot, const wire::Package& request);
  std::int32_t Online(net::Slot slot) const;  // how many are in its room, cluster-wide if known
  void Reply(net::Slot slot, const wire::Package& request, std::int32_t op, std::string_view body);
  Session& session(net::Slot slot) { return slab_[slot]; }
  hub::Hub& hub() { return hub_; }
  uplink::LogicPort& logic() { return parts_.logic; }

  talk::Talks& talks() { return talks_; }

  // A backend's will (two.cc).
  void Kick(net::Slot slot, const std::string& reason);
  void Enter(net::Slot slot, const std::string& room);
  void Exit(net::Slot slot, const std::string& room);

  net::Connections& connections() { return connections_; }
  ShardStats& stats() { return stats_; }

  // net::Handler
  void OnOpen(net::Slot slot, int tag, const net::Peer& peer) override;
  std::size_t OnBytes(net::Slot slot, char* bytes, std::size_t size) override;
  void OnClose(net::Slot slot, net::CloseCause cause) override;
  void OnDeadline(net::Slot slot) override;
  void OnDrained(net::Slot slot) override;
  // hub::Sink
  hub::Taken Send(hub::Slot slot,
                  const SharedBytes& bytes,
                  std::size_t messages,
                  const hub::Rule& rule) override;
  hub::Taken Wait(hub::Slot slot, const backlog::ItemPtr& push) override;
  bool Excluded(hub::Slot slot, const hub::Extras& extras) override;
  void Missed(hub::Slot slot, const hub::Miss& miss) override;
  // talk::Host
  bool Alive(hub::Slot slot, std::uint32_t serial) const override;
  std::uint32_t SerialOf(hub::Slot slot) const override { return connections_.Serial(slot); }
  talk::Guest* GuestOf(hub::Slot slot) override { return slab_[slot].guest.get(); }
  std::int64_t MidOf(hub::Slot slot) const override { return slab_[slot].mid; }
  std::int64_t HeartbeatMs(hub::Slot slot) const override { return slab_[slot].heartbeat_ms; }
  std::int64_t NowMs() const override { return loop_.now_ms(); }
  std::size_t Queued(hub::Slot slot) const override { return connections_.Queued(slot); }
  bool Say(hub::Slot slot, std::int32_t op, std::int32_t seq, std::string_view body) override;
  void Beat(net::Slot slot) override;
  void Hold(hub::Slot slot, bool held) override;
  void AskJobs(net::Slot slot, const std::string& room, std::uint32_t entry) override;
  void Admit(net::Slot slot) override;
  bool Join(net::Slot slot, const std::string& room) override;
  void LeaveRoom(net::Slot slot, const std::string& room) override;
  void End(hub::Slot slot, talk::Ending why) override;

 private:
  struct Slow {
    net::Slot slot;
    std::uint32_t serial;
  };
  // A walk over all slots at so many a second.
  struct Walk {
    bool on = false;
    net::Slot next = 0;
    double budget = 0;
  };

  // bytes.cc
  std::size_t Step(net::Slot slot, char* bytes, std::size_t size);
  std::size_t StepUpgrade(net::Slot slot, std::string_view in);
  std::size_t StepStream(net::Slot slot, std::string_view in);
  std::size_t StepFrame(net::Slot slot, char* bytes, std::size_t size);
  void OnFrame(net::Slot slot, const wire::WsFrame& frame);
  void OnMessage(net::Slot slot, std::string_view message);
  void OnCloseFrame(net::Slot slot, std::string_view payload);
  void OnPackage(net::Slot slot, const wire::Package& package);
  void OnBadPackage(net::Slot slot, wire::Parsed parsed);
  void SendReplies(net::Slot slot);
  void End(net::Slot slot, CloseReason reason, std::string_view why = {});

  // sessions.cc
  bool Waits(net::Slot slot, std::uint32_t serial, Stage stage) const;
  void AskLogic(net::Slot slot, const wire::Package& package, encke::Connect ask);
  void FinishMove(net::Slot slot);
  void LeaveRoom(net::Slot slot);
  void Leave(net::Slot slot);
  void Rearm(net::Slot slot);
  bool Renew(net::Slot slot);
  std::uint32_t NextRenewal();

  // slow.cc
  hub::Taken Refuse(net::Slot slot, hub::Policy policy, std::size_t messages);
  void MarkSlow(net::Slot slot);
  void CheckSlow();
  void Feed(net::Slot slot);
  // Something is done with its backlog, if it has one.
  void WithLine(net::Slot slot, const std::function<void(backlog::Backlog&)>& work);
  void LeaveLine(net::Slot slot, std::string_view room);
  void Lose(net::Slot slot, const backlog::Item& push, backlog::Why why);

  // paced.cc
  void Report();
  void WalkOn(Walk& walk, int rate, const std::function<bool(net::Slot)>& visit);
  void Publish();

  net::Loop& loop_;
  const ShardOptions options_;
  SessionParts parts_;
  ShardStats stats_;
  net::Connections connections_;
  hub::Hub hub_;
  SessionSlab slab_;
  talk::Talks talks_;
  std::optional<net::Slot> reading_;  // in OnBytes of this one
  std::string replies_;               // of the slot at hand, until its read is done
  net::Slot replies_slot_ = 0;
  std::vector<Slow> slow_;
  std::unordered_map<net::Slot, backlog::Backlog> lines_;  // none is empty
  std::size_t line_bytes_ = 0;                             // of all of them
  std::unordered_map<std::string, std::int32_t> moved_;    // room -> came minus went, since Report
  Walk announce_, drain_;
  bool draining_ = false;
  bool hurry_ = false;
  std::int64_t ticked_ms_ = 0;
  std::int64_t reported_ms_ = 0;
  std::int64_t published_ms_ = 0;
  std::minstd_rand random_;
};

}  // namespace encke::session

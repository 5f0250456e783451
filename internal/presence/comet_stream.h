#pragma once
// CometStream: one comet's session stream, as SessionDoor holds it.
//
// Owner    gRPC until OnClosed, and every answer that is still to come; SessionDoor borrows it.
// Thread   any (guarded inside); StreamHandle is called without our lock.
// Limit    see session_door.h.

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

#include "base/threads.h"
#include "presence/session_door.h"

namespace encke::presence {

class CometStream final : public rpc::SessionServerUser,
                          public std::enable_shared_from_this<CometStream> {
 public:
  struct World {  // SessionDoor's; outlives every stream
    auth::Auth& auth;
    SessionPorts& ports;
    SessionDoorOptions options;
    SessionCounts counts;
    // First message read; everything said to Redis since it remembers counts.
    std::function<bool()> must_announce;
    std::function<void(CometStream*)> closed;
  };

  CometStream(World& world, std::shared_ptr<rpc::StreamHandle> stream);

  bool Fill(SessionDown* out) override;
  bool Written() override;
  void OnMessage(const SessionUp& in) override;
  void OnClosed(const std::string& why) override;

  void Announce();  // tells the comet, and reports its counts anew
  void Tick(const RoomTotals::Sum& rooms, std::int64_t now_ms);
  void Close();

 private:
  struct State {
    ServerId comet;  // empty until the first message
    bool closed = false;
    std::size_t connects = 0;  // under way

    std::uint64_t boot = 0;
    std::size_t asks = 0;  // under way

    std::deque<ConnectReply> answers;
    std::deque<Reply> replies;
    std::size_t answer_bytes = 0;
    bool announce = false;

    store::RoomTable here;  // this comet's own counts, no zeros
    bool whole = false;     // a snapshot began it
    store::RoomTable told;  // cluster totals it knows
    store::RoomTable untold;
    RoomTotals::Sum compared;  // against this table, with `here` as it was

    store::RoomTable to_report, reporting;
    bool snapshot_to_report = false, snapshot_reporting = false;
    bool report_under_way = false, report_failed = false;
    std::int64_t reported_ms = 0;
  };

  void OnConnect(const ServerId& comet, const Connect& ask);
  void OnArrival(const ServerId& comet,
                 const auth::Identity& who,
                 ConnectReply reply,
                 Result<store::Sessions::Arrival> arrival);
  void OnRequest(const Request& request);
  void OnRenewal(const ServerId& comet, const Renewal& renewal);
  void OnUpstream(const ServerId& comet, const Upstream& package);
  void OnCounts(const RoomCounts& counts);
  bool Introduce(const SessionUp& in, ServerId* comet);
  bool Answer(ConnectReply reply, bool was_under_way);
  void Answer(Reply reply, bool was_under_way);
  enum class Put : std::uint8_t { kQueued, kGone, kTooMuch };
  template <class T>
  Put Queue(State& s, std::deque<T>& queue, T reply) const;
  bool Tell(Put put);
  void ReportNext();
  void OnReported(const Status& status);

  World& world_;
  const std::shared_ptr<rpc::StreamHandle> stream_;
  Guarded<State> state_;
};

}  // namespace encke::presence

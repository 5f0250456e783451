#pragma once
// Relay: brings a push into its timelines and onto the push log, and answers when it is stored.
//
//   keys, mids   one entry per comet (kept: per mid and comet), on the comet's partition
//   rooms        one ROOM entry each, on the room's partition
//   all          one BROADCAST entry, on partition 0
//
// Timelines first, log second: the log's entries carry their numbers, and whoever appears between
// the two finds the push in the timeline.  An append that may have happened is made again with its
// id; so nothing is in a timeline twice.
//
// Owner    main of logic; borrows what its ports lead to.
// Thread   any; `done` comes on a NATS or Redis thread, once.
// Limit    in_flight_max of its lanes; body bytes and list lengths are bounded by the doors.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "api/logic.pb.h"
#include "api/push.pb.h"

#include "base/ids.h"
#include "base/metrics.h"
#include "base/result.h"
#include "bus/push_log.h"
#include "presence/presence.h"
#include "push/lanes.h"
#include "push/push.h"
#include "store/reports.h"
#include "store/timelines.h"
#include "timeline/plan.h"

namespace encke::push {

struct RelayCounts {
  Counter keys, mids, room, all;  // accepted, by kind
  // failed: refused.  unrouted: keys that are nowhere, and mids of requests of which none is
  // anywhere; goim's caller is told OK, as goim does.
  Counter failed, unrouted;
  Counter kept, append_retried;  // into timelines
};

// What Relay needs of the world.
struct RelayPorts {
  using OnAppended = std::function<void(Result<store::Timelines::Appended>)>;
  std::function<void(const std::vector<Key>&, presence::Presence::OnPlaces)> find_keys;
  std::function<void(const std::vector<Mid>&, presence::Presence::OnPlaces)> find_mids;
  Lanes::Publish publish;
  std::function<void(store::Timelines::Entry, OnAppended)> append;
  // Where what has durable history goes besides; null: nowhere.
  std::function<void(const Place&, std::string payload, std::function<void(Status)> done)> archive;
  // What logic itself knows about a push that asked for a report; null: nobody wants to know.
  std::function<void(const Accepted&)> report;
  timeline::TimelinePlan plan;
  int partitions = 16;
};

class Relay {
 public:
  // OK when every entry is stored; else the first error, after the last entry was answered.
  using OnStored = std::function<void(Status)>;
  explicit Relay(RelayPorts ports, std::size_t in_flight_max = 65'536);
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  void Accept(Push push, OnAccepted done);
  // Many at once, in order; done for each with its number.
  void AcceptAll(std::vector<Push> pushes,
                 const std::function<void(std::size_t, Result<Accepted>)>& done);

  // goim's four.
  void PushKeys(std::int32_t op, std::vector<Key> keys, std::string body, OnStored done);
  void PushMids(std::int32_t op, const std::vector<Mid>& mids, std::string body, OnStored done);
  void PushRoom(std::int32_t op, const RoomId& room, std::string body, OnStored done);
  void PushAll(std::int32_t op, std::int32_t speed, std::string body, OnStored done);
  const RelayCounts& counts() const { return counts_; }
  std::size_t in_flight() const { return lanes_.in_flight(); }  // entries not stored yet

 private:
  class Work;  // one push under way
  using Job = std::shared_ptr<Work>;
  using Numbers = std::function<void(const Place&)>;
  // What the pushes of a batch put on the log, by partition; null: they are not of a batch.
  using Sheaf = std::map<int, std::vector<Lanes::Item>>;

  Counter& CounterOf(To to);
  void Begin(Push push, Sheaf* sheaf, OnAccepted done);
  void ToKeys(const Job& job);
  void ToMids(const Job& job);
  void FindMids(const Job& job);
  void ToComet(const Job& job,
               const ServerId& comet,
               const std::vector<std::string>& keys,
               const Place* inbox);  // null: it is in none
  void ToRoom(const Job& job, const RoomId& room, Sheaf* sheaf);
  // `then` is called when it is in the timeline, and begins what is still to do.
  void Append(const Job& job,
              const std::string& name,
              const timeline::KeptOptions& kept,
              const PushMsg& message,
              Numbers then);
  void AppendOnce(const Job& job, store::Timelines::Entry entry, int attempt, Numbers then);
  void Publish(const Job& job,
               int partition,
               const std::string& part,
               const PushMsg& message,
               Sheaf* sheaf = nullptr);

  RelayPorts ports_;
  Lanes lanes_;
  RelayCounts counts_;
};

// The real ports: Presence, NATS, Redis.
RelayPorts RealRelayPorts(presence::Presence& presence,
                          bus::Publisher& publisher,
                          store::Timelines& timelines,
                          store::Reports& reports,
                          const timeline::TimelinePlan& plan,
                          const bus::LogOptions& log);

// Keeps what comets say became of pushes.
std::function<void(const ServerId& comet, std::uint64_t boot, const PushReport&)> ReportInto(
    store::Reports& reports);

}  // namespace encke::push

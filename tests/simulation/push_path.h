#pragma once
// The push path in one process, driven from a seed: a log with partitions, leases and checkpoints,
// jobs made of the real LeaseTable, Reader, Sequencer, Router and CometLink, and comets that keep
// the rules of comet's door.  Jobs are killed, paused and left; comets are killed and replaced;
// streams break with messages in flight; answers of the lease store are lost; two logics race.
//
// What must hold at every moment is checked where it happens; Broken() says the first thing that
// did not.
//
// Owner    a test.
// Thread   one; time is a number.
// Limit    none.

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "api/comet.pb.h"
#include "api/push.pb.h"

#include "fleet/lease_table.h"
#include "job/reader.h"
#include "job/router.h"

namespace encke::simulation {

constexpr int kPartitions = 3;
constexpr int kRooms = 4;  // of which the even ones have a timeline

struct LogRow {
  int partition = 0;
  std::string payload;
  std::string name;  // what comets write down: "room#number", unique
};

struct CheckpointRow {
  std::uint64_t fence = 0;
  std::uint64_t seq = 0;
};

struct Comet;

// Everything that outlives a process.
struct Bus {
  explicit Bus(std::uint64_t seed) : random(static_cast<std::uint32_t>(seed)) {}

  std::mt19937 random;
  std::int64_t now_ms = 1'000'000;
  std::vector<LogRow> log;  // entry i has the stream sequence i + 1
  std::vector<fleet::LeaseStore::Entry> leases = std::vector<fleet::LeaseStore::Entry>(kPartitions);
  std::uint64_t revision = 0;
  std::map<int, CheckpointRow> checkpoints;
  std::map<std::string, std::vector<std::string>> timelines;            // number n is at n - 1
  std::map<std::string, std::shared_ptr<Comet>> comets;                 // by id: those that live
  std::map<std::pair<int, std::uint64_t>, std::uint64_t> granted_from;  // (partition, fence)
  std::string broken;

  bool Chance(int percent) { return static_cast<int>(random() % 100) < percent; }
  std::size_t Pick(std::size_t count) { return random() % count; }
  void Fault(const std::string& what) {
    if (broken.empty()) broken = "at " + std::to_string(now_ms) + ": " + what;
  }
};

// One life of one comet: what it has taken over.
struct Comet {
  Comet(Bus& of, std::string name, std::uint64_t start)
      : bus(of), id(std::move(name)), boot(start), born_at(of.log.size()) {}

  Bus& bus;
  const std::string id;
  const std::uint64_t boot;
  const std::size_t born_at;                    // length of the log then: what follows is expected
  std::map<int, CheckpointRow> doors;           // newest fence and seq per partition
  std::map<std::string, std::uint64_t> newest;  // of timelines
  std::map<std::string, std::uint64_t> last_plain;  // of rooms without: the last log sequence
  std::set<std::string> got;

  void Deliver(std::uint64_t seq, const std::string& bytes) {
    PushMsg push;
    if (!push.ParseFromString(bytes)) return bus.Fault("a push cannot be read");
    if (push.seq() > 0) {
      std::uint64_t& last = newest[push.room()];
      if (push.seq() <= last) return;  // comet's hub knows it
      last = push.seq();
    } else {
      std::uint64_t& last = last_plain[push.room()];
      if (seq <= last) bus.Fault(id + ": order in " + push.room());
      last = seq;
    }
    if (!got.insert(push.room() + "#" + push.msg()).second) {
      bus.Fault(id + ": " + push.msg() + " of " + push.room() + " twice");
    }
  }

  // The rules of comet's door: fences, repeats by sequence, acknowledgement when taken over.
  void Take(const PushDown& down, PushUp* up) {
    for (const PushBatch& batch : down.batches()) {
      const int partition = static_cast<int>(batch.partition());
      CheckpointRow& door = doors[partition];
      PushAck* ack = up->add_acks();
      ack->set_partition(batch.partition());
      ack->set_fence(batch.fence());
      if (batch.fence() < door.fence) {
        ack->set_refused(true);
        continue;
      }
      door.fence = batch.fence();
      for (const LogEntry& entry : batch.entries()) {
        // Only what nobody had acknowledged when the lease was given may come again.
        if (entry.seq() <= bus.granted_from[{partition, batch.fence()}]) {
          bus.Fault(id + ": a repeat of what the checkpoint had passed");
        }
        ack->set_seq(entry.seq());
        if (entry.seq() <= door.seq) continue;
        door.seq = entry.seq();
        for (const std::string& push : entry.before())
          Deliver(entry.seq(), push);
        Deliver(entry.seq(), entry.push());
      }
    }
  }

  bool Has(const LogRow& row) const { return got.contains(row.name); }
};

class Leases final : public fleet::LeaseStore {
 public:
  explicit Leases(Bus& bus) : bus_(bus) {}
  bool reachable = true;
  int lost_percent = 0;

  Result<Entry> Read(int p) override {
    if (!reachable || bus_.Chance(lost_percent)) return Away();
    return bus_.leases[static_cast<std::size_t>(p)];
  }
  Result<std::uint64_t> Write(int p, const std::string& holder, std::uint64_t expected) override {
    if (!reachable || bus_.Chance(lost_percent / 2)) return Away();
    Entry& row = bus_.leases[static_cast<std::size_t>(p)];
    if (row.revision != expected) return Error{Errc::kConflict, "moved"};
    row = {holder, ++bus_.revision};
    if (bus_.Chance(lost_percent / 2)) return Away();
    return row.revision;
  }

 private:
  static Error Away() { return {Errc::kTimeout, "no answer"}; }
  Bus& bus_;
};

class Job {
 public:
  Job(Bus& bus, int number)
      : leases(bus),
        bus_(bus),
        router_("job" + std::to_string(number), job::LinkOptions(), Ports(), stats_),
        table_(kPartitions,
               "job" + std::to_string(number),
               fleet::LeaseOptions(),
               leases,
               {[&bus] { return bus.now_ms; },
                [this](int p, std::uint64_t fence) { return OnGained(p, fence); },
                [this](int p, bool ours) { OnLost(p, ours); }}) {
    SeeComets();
  }
  ~Job() {
    held_.clear();
    dying_ = true;
    timers_.clear();
    router_.Stop();
  }

  void SeeComets() {
    std::vector<Instance> list;
    for (const auto& [id, comet] : bus_.comets) {
      Instance& instance = list.emplace_back();
      instance.set_id(id);
      instance.set_grpc(id);
    }
    router_.SetComets(list);
  }
  void Turn(std::size_t jobs) {
    table_.SetHolders(jobs);
    table_.Turn();
  }
  void Leave() { table_.GiveUpAll(); }

  // Reads up to `count` entries of each partition it believes to hold.
  void ReadSome(std::size_t count) {
    for (auto& [partition, holding] : held_) {
      for (std::size_t n = 0; n < count && holding.next < bus_.log.size(); ++holding.next) {
        const LogRow& row = bus_.log[holding.next];
        if (row.partition != partition) continue;
        holding.reader->OnEntry({holding.next + 1, row.payload, 0});
        ++n;
      }
    }
  }
  void SaveCheckpoints() {
    for (auto& [partition, holding] : held_)
      Save(partition, holding);
  }

  // One thing happens on one of the streams.
  void Move(int break_percent) {
    RunTimers();
    std::erase_if(streams_, [](const auto& stream) { return stream->over; });
    if (streams_.empty()) return;
    const auto stream = streams_[bus_.Pick(streams_.size())];
    if (bus_.Chance(break_percent)) return Break(*stream);
    const auto found = bus_.comets.find(stream->address);
    if (found == bus_.comets.end() || found->second->boot != stream->boot) return Break(*stream);
    if (!stream->down.empty() && bus_.Chance(60)) return Arrive(*stream, *found->second);
    if (!stream->up.empty() && bus_.Chance(60)) return Answer(*stream);
    PushDown down;
    if (stream->user->Fill(&down)) stream->down.push_back(std::move(down));
  }
  // Until nothing moves any more.
  void Settle() {
    for (int i = 0; i < 40; ++i)
      Move(0);
  }
  void Lose(const std::string& comet) {  // its process is gone, and every connection with it
    const auto streams = streams_;
    for (const auto& stream : streams)
      if (stream->address == comet && !stream->over) Break(*stream);
  }
  std::size_t held() const { return held_.size(); }

  Leases leases;

 private:
  struct Stream final : rpc::StreamHandle {
    void Kick() override {}
    void Close() override {
      if (!over) owner->Break(*this);
    }
    Job* owner = nullptr;
    std::string address;
    std::uint64_t boot = 0;
    std::shared_ptr<rpc::PushClientUser> user;
    std::deque<PushDown> down;  // in flight
    std::deque<PushUp> up;
    bool over = false;
  };
  struct Holding {
    std::unique_ptr<job::Reader> reader;
    std::size_t next = 0;
    bool saved_once = false;
  };

  job::LinkPorts Ports() {
    return {.open =
                [this](const std::string& address, std::shared_ptr<rpc::PushClientUser> user) {
                  auto stream = std::make_shared<Stream>();
                  stream->owner = this;
                  stream->address = address;
                  stream->user = std::move(user);
                  const auto comet = bus_.comets.find(address);
                  if (comet != bus_.comets.end()) {
                    stream->boot = comet->second->boot;
                    stream->up.push_back(Hello(*comet->second));
                  }
                  streams_.push_back(stream);
                  return stream;
                },
            .later =
                [this](Duration delay, std::function<void()> act) {
                  if (!dying_) timers_.emplace(bus_.now_ms + delay.count(), std::move(act));
                },
            .now_us = [this] { return bus_.now_ms * 1000; }};
  }
  static PushUp Hello(const Comet& comet) {
    PushUp up;
    up.set_comet(comet.id);
    up.set_boot(comet.boot);
    up.mutable_interest()->set_number(1);
    up.mutable_interest()->set_snapshot(true);
    for (int room = 0; room < kRooms; ++room)
      up.mutable_interest()->add_joined("r://" + std::to_string(room));
    return up;
  }
  sequence::Sequencer::Ports Repair() {
    return {
        .read = [this](const std::string& name, std::uint64_t, std::uint64_t after,
                       std::uint64_t before) -> Result<std::vector<sequence::Sequencer::Entry>> {
          std::vector<sequence::Sequencer::Entry> entries;
          const auto& kept = bus_.timelines[name];
          for (std::uint64_t n = after + 1; n < before && n <= kept.size(); ++n) {
            PushMsg push;
            push.ParseFromString(kept[n - 1]);
            entries.push_back({n, push.accepted_us() / 1000, kept[n - 1]});
          }
          return entries;
        },
        .now_ms = [this] { return bus_.now_ms; }};
  }

  void RunTimers() {
    while (!timers_.empty() && timers_.begin()->first <= bus_.now_ms) {
      const auto act = std::move(timers_.begin()->second);
      timers_.erase(timers_.begin());
      act();
    }
  }
  static void Break(Stream& stream) {
    if (std::exchange(stream.over, true)) return;
    const auto user = std::exchange(stream.user, nullptr);
    user->OnClosed("broken");
  }
  void Arrive(Stream& stream, Comet& comet) {
    PushUp up;
    comet.Take(stream.down.front(), &up);
    stream.down.pop_front();
    if (up.acks_size() > 0) stream.up.push_back(std::move(up));
  }
  static void Answer(Stream& stream) {
    const PushUp up = std::move(stream.up.front());
    stream.up.pop_front();
    stream.user->OnMessage(up);
  }

  // As bus::Leases: the checkpoint is written again under the new fence before anything is read.
  bool OnGained(int partition, std::uint64_t fence) {
    CheckpointRow& row = bus_.checkpoints[partition];
    if (row.fence > fence) return false;
    row.fence = fence;
    bus_.granted_from[{partition, fence}] = row.seq;
    Holding& holding = held_[partition];
    holding.next = row.seq;
    holding.reader = std::make_unique<job::Reader>(bus::Lease{partition, fence, row.seq}, router_,
                                                   stats_, Repair());
    return true;
  }
  void OnLost(int partition, bool) {
    const auto found = held_.find(partition);
    if (found == held_.end()) return;
    Save(partition, found->second);
    held_.erase(found);
    router_.Forget(partition);
  }
  // Refused when somebody else wrote it under a newer fence.
  void Save(int partition, Holding& holding) {
    CheckpointRow& row = bus_.checkpoints[partition];
    const bus::Lease done = holding.reader->Checkpoint();
    if (row.fence != done.fence) return;
    const std::uint64_t seq = done.checkpoint;
    for (std::uint64_t passed = row.seq; passed < seq; ++passed) {
      const LogRow& entry = bus_.log[passed];
      if (entry.partition != partition) continue;
      for (const auto& [id, comet] : bus_.comets) {
        if (passed >= comet->born_at && !comet->Has(entry)) {
          bus_.Fault("the checkpoint passed " + entry.name + ", which " + id + " does not have");
        }
      }
    }
    row.seq = std::max(row.seq, seq);
  }

  Bus& bus_;
  job::Stats stats_;
  std::vector<std::shared_ptr<Stream>> streams_;
  std::multimap<std::int64_t, std::function<void()>> timers_;
  bool dying_ = false;
  job::Router router_;
  std::map<int, Holding> held_;
  fleet::LeaseTable table_;
};

}  // namespace encke::simulation

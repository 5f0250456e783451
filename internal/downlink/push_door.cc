#include "downlink/push_door.h"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <deque>
#include <map>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "api/push.pb.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/threads.h"
#include "downlink/delivery.h"
#include "downlink/lines.h"
#include "hub/room.h"

namespace encke::downlink {
namespace {

class Stream;

// One message of a job, taken apart.  Shared by the shards concerned; nothing changes but
// `missing`.
struct Parcel {
  std::shared_ptr<Stream> from;
  std::vector<Order> orders;
  std::vector<std::vector<Step>> steps;  // by shard
  std::vector<PushAck> acks;
  std::size_t channels = 0;             // of this comet, to share a broadcast's rate
  std::atomic<std::size_t> missing{1};  // shards that have not run it, and one for the sender
};

struct Open {
  bool draining = false;
  std::vector<std::weak_ptr<Stream>> streams;
};

// What all streams share.
struct Door {
  PushDoorOptions options;
  Interest& interest;
  hub::Directory& directory;
  std::vector<ShardPort*> shards;
  std::string comet;
  std::uint64_t boot;
  PushDoorCounts counts{};
  log::RateLimit malformed_lines{};
  Guarded<Open> open{};
  Lines lines{};
};

// One connected job.
class Stream final : public rpc::PushServerUser, public std::enable_shared_from_this<Stream> {
 public:
  Stream(std::shared_ptr<Door> door, std::shared_ptr<rpc::StreamHandle> handle)
      : door_(std::move(door)), handle_(std::move(handle)) {}

  void Start();
  bool Fill(PushUp* out) override;
  bool Written() override;
  void OnMessage(const PushDown& in) override;
  bool TryMessage(const PushDown& in) override;
  void OnClosed(const std::string& why) override;

  // Any thread.  No acknowledgement leaves after Close, and no wait goes on after GiveUp.
  void Close() { handle_->Close(); }
  void GiveUp() { pulse_.Stop(); }
  void RunShard(const std::shared_ptr<Parcel>& parcel, std::size_t shard);  // in that shard's loop
  void Settle(Parcel* parcel);  // any thread: one less is missing

 private:
  // partition, fence, log, refused
  using AckKey = std::tuple<std::uint32_t, std::uint64_t, std::uint64_t, bool>;
  struct Owed {
    std::deque<std::shared_ptr<Parcel>> parcels;  // in the order they came
    std::map<AckKey, std::uint64_t> acks;         // the highest seq of each
    std::uint64_t tick = 0;                       // to be echoed
  };

  void Hear(const PushDown& in);
  bool Advance(const PushDown& in);
  std::shared_ptr<Parcel> Take(const PushDown& in);
  void TakeBatch(const PushBatch& batch, Parcel* parcel);
  void TakeEntry(const LogEntry& entry, Parcel* parcel);
  bool Plan(const std::string& bytes, double rate, Parcel* parcel);
  bool PlanKeys(const PushMsg& push, Parcel* parcel);
  void PlanEverywhere(double rate, Parcel* parcel);
  bool Deliver();
  void LeaveOff();

  const std::shared_ptr<Door> door_;
  const std::shared_ptr<rpc::StreamHandle> handle_;
  Interest::JobId job_ = 0;
  bool greeted_ = false;  // Fill's
  bool told_ = false;     // Fill's and Written's: the last message had interest
  // OnMessage's and TryMessage's:
  std::string name_;
  std::shared_ptr<Parcel> posting_;
  std::size_t next_shard_ = 0;  // to be posted to
  Pulse pulse_;
  Guarded<Owed> owed_;
};

void Stream::Start() {
  job_ = door_->interest.AddJob([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->handle_->Kick();
  });
  door_->counts.jobs.Add(1);
  handle_->Kick();  // for our greeting
}

bool Stream::Fill(PushUp* out) {
  bool any = !std::exchange(greeted_, true);
  if (any) {
    out->set_comet(door_->comet);
    out->set_boot(door_->boot);
  }
  const auto [acks, tick] = owed_.With([](Owed& owed) {
    return std::pair(std::exchange(owed.acks, {}), std::exchange(owed.tick, 0));
  });
  if (tick > 0) out->set_tick(tick);
  for (const auto& [key, seq] : acks) {
    PushAck* ack = out->add_acks();
    ack->set_partition(std::get<0>(key));
    ack->set_fence(std::get<1>(key));
    ack->set_log(std::get<2>(key));
    ack->set_refused(std::get<3>(key));
    ack->set_seq(seq);
  }
  told_ = door_->interest.Fill(job_, out->mutable_interest());
  if (told_) return true;
  out->clear_interest();
  return any || tick > 0 || !acks.empty();
}

// Rooms that did not fit into one message are not kicked for again.
bool Stream::Written() {
  return told_ || owed_.With([](const Owed& owed) { return owed.tick > 0 || !owed.acks.empty(); });
}

bool Stream::TryMessage(const PushDown& in) {
  Hear(in);
  return in.batches().empty() || Advance(in);
}

void Stream::OnMessage(const PushDown& in) {
  while (!Advance(in)) {
    if (!pulse_.Wait(door_->options.mailbox_retry)) return LeaveOff();
  }
}

void Stream::Hear(const PushDown& in) {
  if (!in.job().empty()) {
    name_ = in.job();
    log::Info("push_door.open job={}", name_);
    door_->interest.Named(job_, name_);
  }
  if (in.interest_ack() > 0) door_->interest.Confirmed(job_, in.interest_ack());
  if (in.tick() > 0) {
    owed_.With([&](Owed& owed) { owed.tick = in.tick(); });
    handle_->Kick();
  }
}

// False: something is in the way; the next call goes on where this one stopped.  Until a message is
// posted no other stream may deliver its partitions: what came first stays first, and a repeat is
// only called one when the original is on its way.
bool Stream::Advance(const PushDown& in) {
  if (!posting_) {
    if (!door_->lines.Claim(in, this)) {
      door_->counts.turn_waits.Add();
      return false;
    }
    posting_ = Take(in);
    next_shard_ = 0;
  }
  if (!Deliver()) return false;
  Settle(posting_.get());
  LeaveOff();
  return true;
}

// Draining, it leaves before everything is posted: such a message is never acknowledged.
void Stream::LeaveOff() {
  posting_ = nullptr;
  door_->lines.Release(this);
}

std::shared_ptr<Parcel> Stream::Take(const PushDown& in) {
  auto parcel = std::make_shared<Parcel>();
  parcel->from = shared_from_this();
  parcel->steps.resize(door_->shards.size());
  for (const PushBatch& batch : in.batches())
    TakeBatch(batch, parcel.get());
  owed_.With([&](Owed& owed) { owed.parcels.push_back(parcel); });
  return parcel;
}

void Stream::TakeBatch(const PushBatch& batch, Parcel* parcel) {
  if (batch.entries().empty()) return;
  door_->counts.batches.Add();
  const auto fresh = door_->lines.Take(batch);
  PushAck& ack = parcel->acks.emplace_back();
  ack.set_partition(batch.partition());
  ack.set_fence(batch.fence());
  ack.set_log(batch.log());
  ack.set_seq(batch.entries().rbegin()->seq());
  ack.set_refused(!fresh);
  if (!fresh) return door_->counts.refused_fence.Add();
  for (int i = 0; i < batch.entries_size(); ++i) {
    if ((*fresh)[static_cast<std::size_t>(i)]) {
      TakeEntry(batch.entries(i), parcel);
    } else {
      door_->counts.repeats.Add();
    }
  }
}

// What job repaired goes before the entry that showed the hole.
void Stream::TakeEntry(const LogEntry& entry, Parcel* parcel) {
  door_->counts.entries.Add();
  bool sane = true;
  for (const std::string& earlier : entry.before()) {
    door_->counts.repaired.Add();
    sane = Plan(earlier, 0, parcel) && sane;
  }
  if (Plan(entry.push(), entry.rate(), parcel) && sane) return;
  door_->counts.malformed.Add();
  log::WarnSome(door_->malformed_lines, "push_door.malformed job={} seq={} bytes={}", name_,
                entry.seq(), entry.push().size());
}

// False: makes no sense, and never will.
bool Stream::Plan(const std::string& bytes, double rate, Parcel* parcel) {
  PushMsg push;
  if (!push.ParseFromString(bytes)) return false;
  parcel->orders.push_back(OrderOf(std::move(push), door_->options.reports));
  const PushMsg& kept = parcel->orders.back().push;
  switch (kept.type()) {
    case PushMsg::PUSH:
      return PlanKeys(kept, parcel);
    case PushMsg::JOIN:
    case PushMsg::LEAVE:
      return !kept.room().empty() && PlanKeys(kept, parcel);
    case PushMsg::KICK:
      if (!kept.keys().empty()) return PlanKeys(kept, parcel);
      [[fallthrough]];
    case PushMsg::ROOM:
      if (kept.room().empty()) return false;
      PlanEverywhere(0, parcel);
      return true;
    case PushMsg::BROADCAST:
      if (rate > 0) parcel->channels = door_->directory.size();
      PlanEverywhere(rate, parcel);
      return true;
    default:  // a type that a newer logic knows
      return false;
  }
}

bool Stream::PlanKeys(const PushMsg& push, Parcel* parcel) {
  const auto number = static_cast<std::uint32_t>(parcel->orders.size() - 1);
  for (int i = 0; i < push.keys_size(); ++i) {
    const std::vector<hub::Home> homes = door_->directory.Find(push.keys(i));
    if (homes.empty()) {
      door_->counts.unknown_keys.Add();
      hub::AddFate(parcel->orders.back().extras.get(), &hub::Fate::unknown);
    }
    for (const hub::Home& home : homes) {
      assert(home.shard < parcel->steps.size());
      parcel->steps[home.shard].push_back(
          {.push = number, .key = static_cast<std::uint32_t>(i), .slot = home.slot});
    }
  }
  return !push.keys().empty();
}

void Stream::PlanEverywhere(double rate, Parcel* parcel) {
  const auto number = static_cast<std::uint32_t>(parcel->orders.size() - 1);
  for (std::vector<Step>& steps : parcel->steps)
    steps.push_back({.push = number, .rate = rate});
}

// One Post per shard concerned.  A full mailbox holds this stream up and nothing else; the pushes
// behind it wait in the job.
bool Stream::Deliver() {
  for (const auto parcel = posting_; next_shard_ < door_->shards.size(); ++next_shard_) {
    const std::size_t shard = next_shard_;
    if (parcel->steps[shard].empty()) continue;
    parcel->missing.fetch_add(1);
    if (!door_->shards[shard]->Post([parcel, shard] { parcel->from->RunShard(parcel, shard); })) {
      parcel->missing.fetch_sub(1);
      door_->counts.mailbox_waits.Add();
      return false;
    }
  }
  return true;
}

void Stream::RunShard(const std::shared_ptr<Parcel>& parcel, std::size_t shard) {
  ShardPort& port = *door_->shards[shard];
  const std::int64_t now_us = WallUs();
  for (const Step& step : parcel->steps[shard])
    downlink::Deliver(parcel->orders[step.push], step, parcel->channels, now_us, port,
                      door_->counts);
  port.FlushSoon();
  port.AfterFlush([parcel] { parcel->from->Settle(parcel.get()); });
}

// A parcel that is done early waits for those before it: an acknowledgement covers all of them.
void Stream::Settle(Parcel* parcel) {
  if (parcel->missing.fetch_sub(1) > 1) return;
  const bool any = owed_.With([](Owed& owed) {
    bool found = false;
    while (!owed.parcels.empty() && owed.parcels.front()->missing.load() == 0) {
      for (const PushAck& ack : owed.parcels.front()->acks) {
        std::uint64_t& seq = owed.acks[{ack.partition(), ack.fence(), ack.log(), ack.refused()}];
        seq = std::max(seq, ack.seq());
        found = true;
      }
      owed.parcels.pop_front();
    }
    return found;
  });
  if (any) handle_->Kick();
}

void Stream::OnClosed(const std::string& why) {
  log::Info("push_door.close job={} why={}", name_, why);
  door_->interest.RemoveJob(job_);
  door_->counts.jobs.Add(-1);
  owed_.With([](Owed& owed) { owed = {}; });
}

}  // namespace

class PushDoor::Impl : public Door {};

PushDoor::PushDoor(const PushDoorOptions& options,
                   Interest& interest,
                   hub::Directory& directory,
                   std::vector<ShardPort*> shards,
                   std::string comet,
                   std::uint64_t boot)
    : impl_(new Impl{{.options = options,
                      .interest = interest,
                      .directory = directory,
                      .shards = std::move(shards),
                      .comet = std::move(comet),
                      .boot = boot}}) {}
PushDoor::~PushDoor() = default;

std::shared_ptr<grpc::Service> PushDoor::MakeService() {
  return rpc::MakePushService(
      [this](std::shared_ptr<rpc::StreamHandle> handle) { return Accept(std::move(handle)); });
}

std::shared_ptr<rpc::PushServerUser> PushDoor::Accept(std::shared_ptr<rpc::StreamHandle> handle) {
  auto stream = std::make_shared<Stream>(impl_, std::move(handle));
  const bool welcome = impl_->open.With([&](Open& open) {
    std::erase_if(open.streams, [](const auto& weak) { return weak.expired(); });
    if (!open.draining) open.streams.push_back(stream);
    return !open.draining;
  });
  if (!welcome) return nullptr;
  stream->Start();
  return stream;
}

void PushDoor::Drain() {
  const auto streams = impl_->open.With([](Open& open) {
    open.draining = true;
    return std::exchange(open.streams, {});
  });
  // All first: what one gives up would look taken over to the others.
  for (const auto& weak : streams)
    if (const auto stream = weak.lock()) stream->Close();
  for (const auto& weak : streams)
    if (const auto stream = weak.lock()) stream->GiveUp();
}

const PushDoorCounts& PushDoor::counts() const { return impl_->counts; }

}  // namespace encke::downlink

#include "job/reader.h"

#include <algorithm>
#include <utility>

#include "api/push.pb.h"

#include "base/log.h"

namespace encke::job {

namespace {

constexpr Duration kKeepInterval{100};
constexpr Duration kDrainStep{10};

// Commands go where pushes go: to the comet of the keys, or to whoever has the room.
Kind KindOf(const PushMsg& push) {
  switch (push.type()) {
    case PushMsg::ROOM:
      return Kind::kRoom;
    case PushMsg::BROADCAST:
      return Kind::kBroadcast;
    case PushMsg::KICK:
      return push.server().empty() ? Kind::kRoom : Kind::kPush;
    default:
      return Kind::kPush;
  }
}

std::shared_ptr<Message> MessageOf(const bus::Lease& lease,
                                   const bus::LogMessage& entry,
                                   const PushMsg& push) {
  auto message = std::make_shared<Message>();
  message->partition = lease.partition;
  message->fence = lease.fence;
  message->log = entry.log;
  message->seq = entry.seq;
  message->kind = KindOf(push);
  message->server = push.server();
  message->room = push.room();
  message->speed = push.speed();
  message->accepted_us = push.accepted_us();
  message->payload = entry.payload;
  return message;
}

bool Decode(const bus::LogMessage& entry, PushMsg* push) {
  return push->ParseFromArray(entry.payload.data(), static_cast<int>(entry.payload.size())) &&
         PushMsg::Type_IsValid(push->type());
}

}  // namespace

OpenPartition OpenOn(bus::Nats& nats, const bus::LogOptions& log) {
  return [&nats, log](
             int partition, bus::LogPlace from,
             std::function<void(const bus::LogMessage&)> each) -> Result<std::shared_ptr<void>> {
    auto reader = bus::PartitionReader::Open(nats, log, partition, from, std::move(each));
    if (!reader) return reader.error();
    return std::shared_ptr<void>(std::move(*reader));
  };
}

// ---- one partition ----------------------------------------------------------------------------

Reader::Reader(const bus::Lease& lease,
               Router& router,
               Stats& stats,
               const sequence::Sequencer::Ports& repair)
    : lease_(lease),
      router_(router),
      stats_(stats),
      repairs_(repair.read != nullptr),
      sequencer_(sequence::SequencerOptions(), repair, stats.sequence),
      progress_(Progress{lease.log, lease.checkpoint, lease.checkpoint}) {}

Reader::~Reader() { Close(); }

Status Reader::Open(const OpenPartition& open) {
  if (source_) return Ok{};
  auto source = open(lease_.partition, {lease_.checkpoint + 1, lease_.log},
                     [this](const bus::LogMessage& entry) { OnEntry(entry); });
  if (!source) return source.error();
  source_ = std::move(*source);
  return Ok{};
}

void Reader::Close() {
  closing_ = true;
  source_ = nullptr;
}

void Reader::OnEntry(const bus::LogMessage& entry) {
  if (closing_) return;  // what follows an entry that was not routed must not be, either
  if (!EnterLog(entry.log)) return;
  stats_.read.Add();
  stats_.skipped.Add(entry.skipped);
  lag_ = entry.pending;
  PushMsg push;
  if (Decode(entry, &push)) {
    const auto message = MessageOf(lease_, entry, push);
    if (Order(*message, push) && !router_.Route(message, closing_)) return;
    const std::int64_t age_us = WallUs() - message->accepted_us;
    stats_.route_us.Observe(static_cast<std::uint64_t>(std::max<std::int64_t>(age_us, 0)));
  } else {
    stats_.malformed.Add();
    log::Warn("reader.malformed partition={} seq={}", lease_.partition, entry.seq);
  }
  progress_.With([&](Progress& progress) { progress.routed = entry.seq; });
}

// False: it was delivered already, with one that came later.
bool Reader::Order(Message& message, const PushMsg& push) {
  if (!repairs_ || push.type() != PushMsg::ROOM || push.seq() == 0) return true;
  auto verdict =
      sequencer_.Take({push.room(), push.epoch(), push.seq(), push.accepted_us() / 1000});
  message.before = std::move(verdict.before);
  return verdict.route;
}

// Sequences start anew with another log.  What was read of the old one is delivered first, or left
// behind when that takes too long; only then does the checkpoint belong to the new one.
bool Reader::EnterLog(std::uint64_t log) {
  const std::uint64_t known = progress_.With([](const Progress& progress) { return progress.log; });
  if (known == log) return true;
  if (known != 0) {
    stats_.new_logs.Add();
    log::Warn("reader.new_log partition={} log={}", lease_.partition, log);
    if (!router_.Settle(lease_.partition, closing_)) return false;
  }
  progress_.With([&](Progress& progress) {
    if (known != 0) progress = {};
    progress.log = log;
  });
  return true;
}

// `routed` first: what is routed in between can only hold the answer back.
bus::Lease Reader::Checkpoint() {
  return progress_.With([&](Progress& progress) {
    std::uint64_t done = progress.routed;
    if (const auto oldest = router_.Oldest(lease_.partition)) done = std::min(done, *oldest - 1);
    progress.checkpoint = std::max(done, progress.checkpoint);
    return bus::Lease{lease_.partition, lease_.fence, progress.checkpoint, progress.log};
  });
}

ReaderView Reader::view() {
  const auto checkpoint =
      progress_.With([](const Progress& progress) { return progress.checkpoint; });
  return {lease_.partition, source_ != nullptr, lag_, checkpoint};
}

// ---- all of them ------------------------------------------------------------------------------

Readers::Readers(OpenPartition open,
                 Router& router,
                 Stats& stats,
                 sequence::Sequencer::Ports repair)
    : open_(std::move(open)), router_(router), stats_(stats), repair_(std::move(repair)) {}

Readers::~Readers() { StopKeeper(); }

void Readers::StopKeeper() {
  pulse_.Stop();
  if (keeper_.joinable()) keeper_.join();
}

void Readers::Start(Save save) {
  save_ = std::move(save);
  keeper_ = std::thread([this] { Keep(); });
}

void Readers::Keep() {
  NameThread("job.keeper");
  while (pulse_.Wait(kKeepInterval))
    Tend();
}

void Readers::Tend() {
  router_.Tend();
  std::vector<ReaderView> views;
  state_.With([&](State& state) {
    for (auto& [partition, reader] : state.readers) {
      if (auto opened = state.draining ? Status(Ok{}) : reader->Open(open_); !opened) {
        log::Warn("reader.not_open partition={} why=\"{}\"", partition, opened.error().text);
      }
      save_(reader->Checkpoint());
      views.push_back(reader->view());
    }
  });
  views_.With([&](auto& kept) { kept = std::move(views); });
}

void Readers::Gained(const bus::Lease& lease) {
  state_.With([&](State& state) {
    if (state.draining) return;
    state.readers[lease.partition] = std::make_unique<Reader>(lease, router_, stats_, repair_);
  });
  pulse_.Wake();  // the keeper opens it
}

void Readers::Lost(int partition) {
  state_.With([&](State& state) {
    const auto found = state.readers.find(partition);
    if (found == state.readers.end()) return;
    Reader& reader = *found->second;
    reader.Close();
    if (!state.draining) save_(reader.Checkpoint());
    state.readers.erase(found);
    router_.Forget(partition);
  });
}

void Readers::Drain(Duration patience) {
  state_.With([&](State& state) {
    state.draining = true;
    for (auto& [partition, reader] : state.readers)
      reader->Close();
  });
  const std::int64_t until_ms = MonotonicMs() + patience.count();
  Pulse step;
  while (!router_.idle() && MonotonicMs() < until_ms)
    step.Wait(kDrainStep);
  if (!router_.idle()) log::Warn("job.stop not everything was acknowledged in time");
  StopKeeper();
  Tend();
}

std::vector<ReaderView> Readers::views() const {
  return views_.With([](const auto& views) { return views; });
}

}  // namespace encke::job

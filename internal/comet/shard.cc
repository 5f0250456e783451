#include "comet/shard.h"

#include <algorithm>
#include <future>
#include <utility>

#include <fmt/core.h>

namespace encke::comet {
namespace {

constexpr Duration kTick{20};       // while a walk over all sessions is on
constexpr Duration kIdleTick{100};  // an idle comet sleeps: many may share one machine

}  // namespace

Result<std::unique_ptr<Shard>> Shard::Make(const session::ShardOptions& options,
                                           const session::SessionParts& parts) {
  auto loop = net::Loop::Make({});
  if (!loop) return loop.error();
  return std::unique_ptr<Shard>(new Shard(std::move(*loop), options, parts));
}

Shard::Shard(std::unique_ptr<net::Loop> loop,
             const session::ShardOptions& options,
             const session::SessionParts& parts)
    : index_(options.index),
      slice_us_(options.slice_us),
      loop_(std::move(loop)),
      sessions_(std::make_unique<session::Sessions>(*loop_, options, parts)) {}

Shard::~Shard() { Stop(); }

void Shard::Start() {
  loop_->After(kIdleTick, [this] { Tick(); });
  thread_ = std::thread([this] {
    NameThread(fmt::format("shard-{}", index_).c_str());
    loop_->Run();
  });
}

void Shard::Stop() {
  if (!thread_.joinable()) return;
  stopped_ = true;
  loop_->Stop();
  thread_.join();
}

bool Shard::Post(std::function<void()> task) { return !stopped_ && loop_->Post(std::move(task)); }

void Shard::Tell(std::function<void(session::Sessions&)> task) {
  const bool first = notes_.With([&](auto& notes) {
    notes.push_back(std::move(task));
    return notes.size() == 1;
  });
  // A mailbox that is full is no loss: the next tick reads the notes.
  if (first) (void)Post([this] { ReadNotes(); });
}

void Shard::ReadNotes() {
  auto notes = notes_.With([](auto& waiting) { return std::exchange(waiting, {}); });
  for (auto& note : notes)
    note(*sessions_);
}

void Shard::Tick() {
  ReadNotes();
  sessions_->Tick();
  if (beat_) beat_(loop_->now_ms());
  loop_->After(sessions_->walking() ? kTick : kIdleTick, [this] { Tick(); });
}

void Shard::FlushSoon() {
  if (flushing_) return;
  flushing_ = true;
  loop_->Again([this] { FlushSlice(); });
}

void Shard::FlushSlice() {
  flushing_ = false;
  if (hub().Flush(slice_us_)) return FlushSoon();
  const std::int64_t pause = hub().NextPaceMs(loop_->now_ms());
  if (pause < 0) return;
  const std::int64_t at_ms = loop_->now_ms() + std::max<std::int64_t>(pause, 1);
  if (pace_at_ms_ != 0 && pace_at_ms_ <= at_ms) return;  // that one comes first, and looks again
  pace_at_ms_ = at_ms;
  loop_->After(Duration(at_ms - loop_->now_ms()), [this, at_ms] {
    if (pace_at_ms_ == at_ms) pace_at_ms_ = 0;
    FlushSoon();
  });
}

ShardView Shard::view() const {
  return {&sessions_->stats(),        &sessions_->talks().stats(),
          &sessions_->hub().counts(), &sessions_->connections().counts(),
          &loop_->turn_us(),          &loop_->posts_refused(),
          loop_->mailbox_depth()};
}

// ---- all of them --------------------------------------------------------------------------------

Shards::~Shards() { Stop(); }

Status Shards::Make(int count, session::ShardOptions options, session::SessionParts parts) {
  options.shards = static_cast<std::uint32_t>(count);
  options.net.connections_max = (options.net.connections_max + options.shards - 1) / options.shards;
  for (options.index = 0; options.index < options.shards; ++options.index) {
    auto shard = Shard::Make(options, parts);
    if (!shard) return shard.error();
    shards_.push_back(std::move(*shard));
  }
  return Ok{};
}

Status Shards::Open(const std::vector<Door>& doors) {
  for (const Door& door : doors) {
    std::string address = door.address;
    for (auto& shard : shards_) {
      auto port = shard->sessions().Listen(door.transport, address, door.tls);
      if (!port) {
        return Error{
            port.error().code,
            fmt::format("{}.listen: {}", session::kTransportNames[static_cast<int>(door.transport)],
                        port.error().text)};
      }
      // Port 0 is chosen once; the other shards share it.
      address = fmt::format("{}:{}", address.substr(0, address.rfind(':')), *port);
      if (shard == shards_.front()) open_ports_.push_back(*port);
    }
  }
  return Ok{};
}

void Shards::Start() {
  for (auto& shard : shards_)
    shard->Start();
}

void Shards::Announce() {
  for (auto& shard : shards_)
    shard->Tell([](session::Sessions& sessions) { sessions.Announce(); });
}

void Shards::Drain(Duration patience) {
  const std::int64_t until = MonotonicMs() + patience.count();
  for (auto& shard : shards_)
    shard->Tell([](session::Sessions& sessions) { sessions.Drain(); });
  const auto open = [this] {
    std::int64_t sum = 0;
    for (const ShardView& view : views()) {
      for (const Gauge& via : view.sessions->open)
        sum += via.value();
    }
    return sum;
  };
  Pulse pulse;
  while (open() > 0 && MonotonicMs() < until)
    pulse.Wait(kTick);
  for (auto& shard : shards_)
    shard->Tell([](session::Sessions& sessions) { sessions.HurryDrain(); });
  const std::int64_t last = MonotonicMs() + 1500;  // a close frame lingers at most a second
  while (open() > 0 && MonotonicMs() < last)
    pulse.Wait(kTick);
}

void Shards::Stop() {
  for (auto& shard : shards_)
    shard->Stop();
}

void Shards::Tell(std::uint32_t shard, std::function<void(session::Sessions&)> task) {
  if (shard < shards_.size()) shards_[shard]->Tell(std::move(task));
}

std::vector<downlink::ShardPort*> Shards::ports() {
  std::vector<downlink::ShardPort*> ports;
  for (auto& shard : shards_)
    ports.push_back(shard.get());
  return ports;
}

std::vector<ShardView> Shards::views() const {
  std::vector<ShardView> views;
  for (const auto& shard : shards_)
    views.push_back(shard->view());
  return views;
}

std::int64_t Shards::channels() const {
  std::int64_t sum = 0;
  for (const ShardView& view : views())
    sum += view.sessions->channels.value();
  return sum;
}

bool Shards::Ping(Duration patience) {
  const auto until = std::chrono::steady_clock::now() + patience;
  std::vector<std::future<void>> pongs;
  for (auto& shard : shards_) {
    auto pong = std::make_shared<std::promise<void>>();
    pongs.push_back(pong->get_future());
    if (!shard->Post([pong] { pong->set_value(); })) return false;
  }
  return std::all_of(pongs.begin(), pongs.end(), [until](std::future<void>& pong) {
    return pong.wait_until(until) == std::future_status::ready;
  });
}

}  // namespace encke::comet

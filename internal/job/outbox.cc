#include "job/outbox.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace encke::job {

namespace {

constexpr std::size_t kEntryBytes = 64;  // what an entry costs besides its payload, roughly

}  // namespace

std::size_t Outbox::Cost(const Message& message) {
  std::size_t bytes = message.payload.size() + kEntryBytes;
  for (const std::string& push : message.before)
    bytes += push.size() + kEntryBytes;
  return bytes;
}

Outbox::Lane& Outbox::LaneOf(const Message& message) {
  Lane& lane = lanes_[message.partition];
  if (lane.fence != message.fence || lane.log != message.log) {
    Forget(message.partition);
    lane.fence = message.fence;
    lane.log = message.log;
  }
  return lane;
}

void Outbox::Add(SharedMessage message, double rate, std::int64_t now_us) {
  Lane& lane = LaneOf(*message);
  if (waiting_ == 0) waiting_since_us_ = now_us;
  const bool held = options_.room_signal > Duration(0) && message->kind == Kind::kRoom;
  if (!held || ++gathered_[message->room] >= options_.room_batch) due_ = true;
  bytes_ += Cost(*message);
  ++entries_;
  ++waiting_;
  lane.entries.push_back({std::move(message), rate, now_us});
}

// ---- what may be wanted -----------------------------------------------------------------------

std::size_t Outbox::Doubt(SharedMessage message, std::uint64_t proof) {
  Lane& lane = LaneOf(*message);
  doubt_bytes_ += Cost(*message);
  lane.doubts.push_back({std::move(message), proof});
  std::size_t given_up = 0;
  for (; doubt_bytes_ > options_.doubt_bytes_max && !lane.doubts.empty(); ++given_up)
    PopDoubt(lane);
  return given_up;
}

void Outbox::PopDoubt(Lane& lane) {
  doubt_bytes_ -= Cost(*lane.doubts.front().message);
  lane.doubts.pop_front();
}

void Outbox::Trust(std::uint64_t tick) {
  for (auto& [partition, lane] : lanes_) {
    while (!lane.doubts.empty() && lane.doubts.front().proof <= tick)
      PopDoubt(lane);
  }
}

void Outbox::AddDoubts() {
  for (auto& [partition, lane] : lanes_) {
    assert(lane.sent == 0);
    const auto middle = static_cast<std::ptrdiff_t>(lane.entries.size());
    for (; !lane.doubts.empty(); PopDoubt(lane)) {
      bytes_ += Cost(*lane.doubts.front().message);
      ++entries_;
      ++waiting_;
      due_ = true;
      lane.entries.push_back({lane.doubts.front().message, 0, MonotonicUs()});
    }
    std::inplace_merge(
        lane.entries.begin(), lane.entries.begin() + middle, lane.entries.end(),
        [](const Entry& a, const Entry& b) { return a.message->seq < b.message->seq; });
  }
}

// ---- what leaves ------------------------------------------------------------------------------

bool Outbox::Due(std::int64_t now_us) const {
  if (waiting_ == 0) return false;
  return due_ || now_us - waiting_since_us_ >= options_.room_signal.count() * 1000;
}

std::size_t Outbox::Pack(PushDown* out, std::int64_t now_us) {
  if (!Due(now_us)) return 0;
  std::size_t budget = options_.batch_bytes_max;
  std::size_t packed = 0;
  auto lane = lanes_.lower_bound(turn_);
  for (std::size_t i = 0; i < lanes_.size() && budget > 0; ++i, ++lane) {
    if (lane == lanes_.end()) lane = lanes_.begin();
    packed += PackLane(lane->first, lane->second, &budget, out);
    turn_ = lane->first + 1;
  }
  waiting_ -= packed;
  due_ = true;  // what did not fit has waited long enough
  Settle();
  return packed;
}

std::size_t Outbox::PackLane(int partition, Lane& lane, std::size_t* budget, PushDown* out) {
  if (lane.sent == lane.entries.size()) return 0;
  PushBatch* batch = out->add_batches();
  batch->set_partition(static_cast<std::uint32_t>(partition));
  batch->set_fence(lane.fence);
  batch->set_log(lane.log);
  std::size_t packed = 0;
  for (; lane.sent < lane.entries.size() && *budget > 0; ++lane.sent, ++packed) {
    const Entry& entry = lane.entries[lane.sent];
    LogEntry* line = batch->add_entries();
    line->set_seq(entry.message->seq);
    line->set_push(entry.message->payload);
    line->set_rate(entry.rate);
    for (const std::string& push : entry.message->before)
      line->add_before(push);
    *budget -= std::min(*budget, Cost(*entry.message));
  }
  return packed;
}

std::size_t Outbox::Ack(const PushAck& ack, std::int64_t now_us, Histogram* ack_us) {
  const auto found = lanes_.find(static_cast<int>(ack.partition()));
  if (found == lanes_.end() || found->second.fence != ack.fence()) return 0;
  if (found->second.log != ack.log()) return 0;
  if (ack.refused()) return Forget(found->first);  // another job owns the partition by now
  Lane& lane = found->second;
  std::size_t count = 0;
  for (; lane.sent > 0 && lane.entries.front().message->seq <= ack.seq(); ++count) {
    ack_us->Observe(static_cast<std::uint64_t>(now_us - lane.entries.front().added_us));
    PopSent(lane);
  }
  return count;
}

std::size_t Outbox::Rewind() {
  std::size_t count = 0;
  for (auto& [partition, lane] : lanes_)
    count += std::exchange(lane.sent, 0);
  waiting_ += count;
  due_ = due_ || count > 0;
  return count;
}

std::size_t Outbox::DropSent() {
  std::size_t count = 0;
  for (auto& [partition, lane] : lanes_) {
    for (; lane.sent > 0; ++count)
      PopSent(lane);
  }
  return count;
}

std::size_t Outbox::DropRooms(const std::function<bool(const std::string& room)>& wanted) {
  std::size_t count = 0;
  for (auto& [partition, lane] : lanes_) {
    const auto first = lane.entries.begin() + static_cast<std::ptrdiff_t>(lane.sent);
    const auto kept = std::remove_if(first, lane.entries.end(), [&](const Entry& entry) {
      const Message& message = *entry.message;
      if (message.kind != Kind::kRoom || wanted(message.room)) return false;
      bytes_ -= Cost(message);
      ++count;
      return true;
    });
    lane.entries.erase(kept, lane.entries.end());
  }
  entries_ -= count;
  waiting_ -= count;
  Settle();
  return count;
}

std::size_t Outbox::Forget(int partition) {
  Lane& lane = lanes_[partition];
  const std::size_t count = lane.entries.size();
  for (const Entry& entry : lane.entries)
    bytes_ -= Cost(*entry.message);
  entries_ -= count;
  waiting_ -= count - lane.sent;
  lane.entries.clear();
  lane.sent = 0;
  while (!lane.doubts.empty())
    PopDoubt(lane);
  Settle();
  return count;
}

std::size_t Outbox::Clear() {
  std::size_t count = 0;
  for (const auto& [partition, lane] : lanes_)
    count += Forget(partition);
  return count;
}

std::optional<std::uint64_t> Outbox::Oldest(int partition) const {
  const auto found = lanes_.find(partition);
  if (found == lanes_.end()) return std::nullopt;
  const Lane& lane = found->second;
  std::optional<std::uint64_t> oldest;
  if (!lane.entries.empty()) oldest = lane.entries.front().message->seq;
  if (!lane.doubts.empty()) {
    const std::uint64_t seq = lane.doubts.front().message->seq;
    oldest = std::min(oldest.value_or(seq), seq);
  }
  return oldest;
}

void Outbox::PopSent(Lane& lane) {
  bytes_ -= Cost(*lane.entries.front().message);
  --entries_;
  --lane.sent;
  lane.entries.pop_front();
}

void Outbox::Settle() {
  if (waiting_ > 0) return;
  due_ = false;
  gathered_.clear();
}

}  // namespace encke::job

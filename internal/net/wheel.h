#pragma once
// Wheel: one deadline per id, hashed by tick, lazy.
//
//   buckets_[tick mod kBuckets] -> id -> id -> ...        each id is filed in one bucket at most
//
// A deadline that moves later is only written down; the id is found at the old tick, and filed
// again.  That is the case of every heartbeat, and costs one store.  One that moves earlier is
// filed anew at once.  Deadlines beyond one round are filed at its end and looked at again there.
//
// Owner    Connections.
// Thread   the loop's.
// Limit    16 bytes per id; fires up to kTickMs late, never early.

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <deque>

namespace encke::net {

class Wheel {
 public:
  static constexpr std::int64_t kTickMs = 64;
  static constexpr std::uint32_t kBuckets = 4096;  // one round: 262 s

  explicit Wheel(std::int64_t now_ms) : begin_ms_(now_ms) { buckets_.fill(kNone); }

  void Set(std::uint32_t id, std::int64_t at_ms) {
    if (id >= links_.size()) links_.resize(id + 1);
    Link& link = links_[id];
    link.deadline = TickOf(at_ms);
    if (link.filed != kNone && link.filed <= link.deadline) return;
    if (link.filed != kNone) Unfile(id);
    File(id);
  }

  // The id stays filed until its tick comes; nothing fires there.
  void Clear(std::uint32_t id) {
    if (id < links_.size()) links_[id].deadline = kNone;
  }

  // Calls fire(id) for every deadline that has passed, `most` of them at most: the rest waits for
  // the next call.  fire may Set and Clear as it likes.
  template <class F>
  void Advance(std::int64_t now_ms, std::size_t most, F&& fire) {
    const auto passed =
        static_cast<std::uint32_t>(std::max<std::int64_t>((now_ms - begin_ms_) / kTickMs, tick_));
    for (;;) {
      // Nothing is filed into the bucket of the current tick, so this loop ends.
      while (buckets_[tick_ % kBuckets] != kNone) {
        if (most == 0) return;
        if (Look(buckets_[tick_ % kBuckets], fire)) --most;
      }
      if (filed_ == 0) tick_ = passed;
      if (tick_ == passed) return;
      ++tick_;
    }
  }

  // When Advance has something to look at; -1 = nothing is filed.
  std::int64_t NextMs() const {
    if (filed_ == 0) return -1;
    const bool left_over = buckets_[tick_ % kBuckets] != kNone;
    return begin_ms_ + (static_cast<std::int64_t>(tick_) + (left_over ? 0 : 1)) * kTickMs;
  }
  std::size_t BytesUsed() const { return links_.size() * sizeof(Link) + sizeof(buckets_); }

 private:
  static constexpr std::uint32_t kNone = 0xffffffff;
  struct Link {
    std::uint32_t next = kNone;
    std::uint32_t prev = kNone;      // kNone = the first of its bucket
    std::uint32_t filed = kNone;     // the tick it is filed under
    std::uint32_t deadline = kNone;  // the tick it fires at
  };
  static_assert(sizeof(Link) == 16);

  // Rounds up, so that nothing fires early; the past is the next tick.
  std::uint32_t TickOf(std::int64_t at_ms) const {
    const std::int64_t tick = (at_ms - begin_ms_ + kTickMs - 1) / kTickMs;
    return static_cast<std::uint32_t>(std::clamp(tick, static_cast<std::int64_t>(tick_) + 1,
                                                 static_cast<std::int64_t>(kNone) - 1));
  }

  // The first of the current bucket: true if it fired.
  template <class F>
  bool Look(std::uint32_t id, F&& fire) {
    Unfile(id);
    Link& link = links_[id];
    if (link.deadline == kNone) return false;
    if (link.deadline > tick_) {
      File(id);
      return false;
    }
    link.deadline = kNone;
    fire(id);
    return true;
  }

  void File(std::uint32_t id) {
    Link& link = links_[id];
    link.filed = std::min(link.deadline, tick_ + kBuckets - 1);
    std::uint32_t& head = buckets_[link.filed % kBuckets];
    link.next = head;
    link.prev = kNone;
    if (head != kNone) links_[head].prev = id;
    head = id;
    ++filed_;
  }

  void Unfile(std::uint32_t id) {
    Link& link = links_[id];
    assert(link.filed != kNone);
    if (link.next != kNone) links_[link.next].prev = link.prev;
    if (link.prev != kNone) links_[link.prev].next = link.next;
    if (link.prev == kNone) buckets_[link.filed % kBuckets] = link.next;
    link.filed = kNone;
    --filed_;
  }

  std::int64_t begin_ms_;
  std::uint32_t tick_ = 0;
  std::size_t filed_ = 0;
  std::array<std::uint32_t, kBuckets> buckets_{};
  std::deque<Link> links_;  // grows without moving
};

}  // namespace encke::net

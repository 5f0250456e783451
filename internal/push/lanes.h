#pragma once
// Lanes: puts pushes on the push log, partition by partition in the order in which they came.
//
// An entry costs logic, NATS and job about the same however much it carries, so pushes share them.
// What comes while an entry of its partition is under way is gathered, and leaves as one entry when
// that is answered; so does what comes when, over all partitions, entries leave faster than one in
// kEntryUs: it waits for an answer to any of those under way.  There is no timer: a push that finds
// nothing under way leaves at once.  An entry that has to be sent again is never overtaken by a
// later one of its partition.
//
// A push whose caller gave it an id is an entry of its own, because a retry must be found by that
// id; it waits for nobody, and what was gathered leaves before it.
//
// Owner    Relay.
// Thread   any; answers come on the publisher's thread, or before Put returns when refused at once.
// Limit    in_flight_max pushes not answered yet (kOverloaded past it); bus::Bundle's for an entry.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/result.h"
#include "base/threads.h"

namespace encke::push {

class Lanes {
 public:
  using Publish = std::function<void(int partition,
                                     const std::string& id,
                                     std::string payload,
                                     std::function<void(Result<std::uint64_t>)> done)>;
  struct Item {
    std::string id;  // unique
    bool alone = false;
    std::string payload;
    std::function<void(Status)> done;
  };

  static constexpr std::int64_t kEntryUs = 250;  // 4,000 entries a second
  static constexpr std::int64_t kBurst = 4;      // after a pause so many leave at once

  Lanes(int partitions,
        std::size_t in_flight_max,
        Publish publish,
        std::function<std::int64_t()> now_us = MonotonicUs);
  Lanes(const Lanes&) = delete;
  Lanes& operator=(const Lanes&) = delete;

  // In order, nothing between them.
  void Put(int partition, std::vector<Item> items);
  std::size_t in_flight() const { return in_flight_; }

 private:
  struct Lane {
    std::deque<Item> waiting;
    std::size_t alone = 0;      // of them
    std::size_t under_way = 0;  // entries
    bool leaving = false;       // somebody is taking from it: the others leave that to him
    bool queued = false;        // in State::ready
  };
  struct State {
    std::vector<Lane> lanes;
    std::deque<int> ready;      // lanes whose next entry may leave, by the lane's own rules
    std::size_t under_way = 0;  // entries of all lanes
    std::int64_t paid_us = 0;   // the time up to which entries have been paid for
  };
  struct Entry {
    int partition = 0;
    std::vector<Item> items;  // none: nothing may leave now
  };

  void Drain();
  void Send(Entry entry);
  Entry Next(State& state) const;
  bool Pay(State& state) const;
  static void Queue(State& state, int partition);
  static std::vector<Item> TakeFrom(Lane& lane);

  const std::size_t in_flight_max_;
  const Publish publish_;
  const std::function<std::int64_t()> now_us_;
  Guarded<State> state_;
  std::atomic<std::size_t> in_flight_{0};
};

}  // namespace encke::push

#pragma once
// Lanes: puts pushes on the push log, partition by partition in the order in which they came.
//
// What comes while two entries of the partition are under way is gathered, and leaves as one entry
// when one of them is answered: an entry costs logic, NATS and job about the same however much it
// carries. There is no timer: a push that finds its lane free leaves at once.  A push whose caller
// gave it an id is an entry of its own, because a retry must be found by that id; it waits for
// nobody, and what was gathered leaves before it.
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

  Lanes(int partitions, std::size_t in_flight_max, Publish publish);
  Lanes(const Lanes&) = delete;
  Lanes& operator=(const Lanes&) = delete;

  // In order, nothing between them.
  void Put(int partition, std::vector<Item> items);
  std::size_t in_flight() const { return in_flight_; }

 private:
  static constexpr std::size_t kUnderWay = 2;
  struct Lane {
    std::deque<Item> waiting;
    std::size_t alone = 0;      // of them
    std::size_t under_way = 0;  // entries
    bool leaving = false;       // somebody is taking from it: the others leave that to him
  };

  void Drain(int partition);
  void Send(int partition, std::vector<Item> items);
  static std::vector<Item> Next(Lane& lane);

  const std::size_t in_flight_max_;
  const Publish publish_;
  std::vector<Guarded<Lane>> lanes_;
  std::atomic<std::size_t> in_flight_{0};
};

}  // namespace encke::push

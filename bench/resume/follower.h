#pragma once
// Follower: one client of version 2 in one room, and a tally of what it was called back with.
// Bodies are the numbers 1, 2, 3 ... of their room.
//
// Owner    the flock, in a vector.
// Thread   the flock's.
// Limit    as client::Client; one entry per number that is missing now.

#include <cstdint>
#include <string>

#include "clients/cpp/client.h"
#include "tally/received.h"

namespace encke::bench {

class Follower {
 public:
  Follower(client::ClientOptions options, std::string room);

  // From now on losses of the connection count.
  void Mark();
  void Tick(std::int64_t now_us);
  void OnReady(std::int64_t now_us);

  int fd() const { return client_.fd(); }
  std::uint64_t dialled() const { return ends_ + 1; }  // which of its connections this is
  std::uint32_t wanted() const;                        // for epoll
  bool live() const { return client_.live(room_); }
  const Received& received() const { return received_; }
  bool lost() const { return lost_; }                      // its connection, since Mark
  std::int64_t up_us() const { return up_us_; }            // connected again; 0 = not yet
  std::int64_t resumed_us() const { return resumed_us_; }  // and has what it missed

  // What epoll knows of it.
  std::uint64_t watched_life = 0;
  std::uint32_t watched = 0;

 private:
  void Look(std::int64_t now_us);

  const std::string room_;
  Received received_;
  bool lost_ = false;
  std::uint64_t ends_ = 0;
  std::int64_t up_us_ = 0, resumed_us_ = 0;
  client::Client client_;
};

}  // namespace encke::bench

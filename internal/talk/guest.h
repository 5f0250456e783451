#pragma once
// Guest: what a session of version 2 has beside a session; none is made for version 1.
//
// Owner    its Session.
// Thread   the shard's.
// Limit    rooms_max timelines and gaps, requests_max client's and rooms_max server's syncs; a join
//          under way for each room that a backend puts it into.

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "api/client.pb.h"

namespace encke::talk {

// A join, from the request to the moment when every job routes its rooms here.
struct Entry {
  std::uint32_t number = 0;
  std::int32_t seq = 0;     // of the request; 0 = a backend's
  bool from_client = true;  // it counts among the client's requests
  std::size_t waits = 0;    // rooms that are not known to the jobs yet
  std::vector<client::Cursor> cursors = {};
  std::vector<client::Joined> rooms = {};  // in the same order; with an error: refused already
};

struct SyncWish {
  std::int32_t seq = 0;  // 0 = the server's own, a resume
  std::string room = {};
  std::uint64_t epoch = 0, after = 0;
  std::uint32_t limit = 0;
};

struct Lost {
  std::uint64_t epoch = 0, from = 0, to = 0;
  std::uint64_t pushes = 0;
};

struct Guest {
  std::string device, platform;
  client::Connect connect;  // until it is welcomed
  std::int32_t connect_seq = 0;
  bool welcome = false;
  std::uint32_t entries_made = 0;
  std::vector<Entry> entries;
  std::size_t asked = 0;    // the client's requests without an answer
  std::size_t joining = 0;  // its joins under way: a Leave that follows must find it joined
  std::vector<std::string> timelines;  // rooms it is in whose heads it wants to know, the inbox too
  std::deque<SyncWish> syncs;
  bool fetching = false;             // one at a time, so that its outbox holds one answer
  std::map<std::string, Lost> gaps;  // to be told when there is room again
  double tokens = 0;                 // publishes it may do now
  std::int64_t tokens_ms = 0;
};

}  // namespace encke::talk

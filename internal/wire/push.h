#pragma once
// Push: what a client is told, and its packages: version 1 (op and body) and version 2.
//
//   version 2: header op 32 | client.Push := room 1, epoch 2, seq 3, op 4, body 5, id 6, time_us 7,
//                                            from_mid 8, client_id 9   (api/client.proto)
//
// Written by hand: a push is encoded once for a whole room, straight into the batch.
//
// Owner    whoever holds the bytes that it borrows.
// Thread   any.
// Limit    none here.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace encke::wire {

struct Push {
  std::int32_t op = 0;
  std::string_view body = {};
  std::string_view room = {};  // its timeline or room; empty = neither
  std::uint64_t epoch = 0;
  std::uint64_t seq = 0;  // 0 = in no timeline
  std::string_view id = {};
  std::int64_t time_us = 0;
  std::int64_t from_mid = 0;
  std::string_view client_id = {};
};

void AppendPush1(std::string* out, const Push& push);
void AppendPush2(std::string* out, const Push& push);

}  // namespace encke::wire

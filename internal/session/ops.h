#pragma once
// Ops: what a client may say, one row per operation; the last row is for everything else.
//
// Owner    constants.
// Thread   handlers run on the session's shard.
// Limit    none.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "net/connections.h"
#include "wire/package.h"

namespace encke::session {

class Sessions;

// Whose word it is: of who has not said who it is, of a client of version 1, of one of version 2.
enum class Needs : std::uint8_t { kNothing, kAuth, kTwo };

struct OpRow {
  std::int32_t op;
  std::string_view name;
  Needs needs;
  void (*handle)(Sessions& sessions, net::Slot slot, const wire::Package& package);
};

inline constexpr std::size_t kOpRows = 13;
extern const std::array<OpRow, kOpRows> kOpTable;

// The row of an operation for who speaks; the words of others are words like any other.
const OpRow& FindOp(std::int32_t op, Needs speaker);
inline std::size_t IndexOf(const OpRow& row) {
  return static_cast<std::size_t>(&row - kOpTable.data());
}

// "1000,-5,+7": plain base-10 int32, no blanks.  Empty text is an empty list; one bad piece makes
// the whole text bad.
bool ParseOps(std::string_view text, std::vector<std::int32_t>* out);

}  // namespace encke::session

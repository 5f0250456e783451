#pragma once
// Accounts: what was offered and accepted against what arrived, push by push.
//
// Owner    value types.
// Thread   any.
// Limit    as Tally.

#include <cstdint>
#include <vector>

#include <nlohmann/json.hpp>

#include "tally/tally.h"

namespace encke::bench {

enum class Fate : std::uint32_t { kUnknown = 0, kAccepted = 1, kRefused = 2 };

// What became of every push at the HTTP door.  Stream s aims at group s / streams_per_group.
struct Offers {
  std::uint32_t groups = 1;
  std::uint32_t streams_per_group = 1;
  PerPush fates;  // Fate

  void Note(std::uint32_t stream, std::uint32_t sequence, Fate fate);
  std::uint64_t Count(Fate fate) const;
  // Deliveries owed: for every accepted push the members of its group.
  std::uint64_t Expected(const std::vector<std::uint32_t>& members) const;
};

struct Accounts {
  std::uint64_t offered = 0, accepted = 0, refused = 0;
  std::uint64_t expected = 0;     // accepted pushes x members of their group
  std::uint64_t delivered = 0;    // repeats not counted
  std::uint64_t lost = 0;         // expected and never seen
  std::uint64_t unconfirmed = 0;  // delivered though HTTP did not say success
  std::uint64_t duplicates = 0, out_of_order = 0, foreign = 0;

  void Add(const Accounts& other);
  bool AddUp() const { return lost == 0 && duplicates == 0 && out_of_order == 0; }
  nlohmann::ordered_json ToJson() const;
};

// members[g]: connections of group g that were ready when the pushing began.
Accounts Settle(const Offers& offers,
                const Tally& tally,
                const std::vector<std::uint32_t>& members);

}  // namespace encke::bench

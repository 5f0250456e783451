#pragma once
// Received: the numbers 1, 2, 3 ... that one client got, and what was wrong with them.
//
// Owner    a follower.
// Thread   one.
// Limit    one entry per number that is missing now.

#include <cstdint>
#include <set>

namespace encke::bench {

struct Received {
  std::uint64_t last = 0;  // the largest number
  std::uint64_t count = 0, duplicates = 0, out_of_order = 0, reloads = 0;
  std::set<std::uint64_t> missing;  // of those up to `last`

  void Take(std::uint64_t number) {
    ++count;
    if (number > last) {
      for (std::uint64_t i = last + 1; i < number; ++i)
        missing.insert(missing.end(), i);
      last = number;
    } else {
      ++(missing.erase(number) > 0 ? out_of_order : duplicates);
    }
  }
  // Of 1 to `expected`, those that did not come.
  std::uint64_t Lacks(std::uint64_t expected) const {
    return missing.size() + (expected > last ? expected - last : 0);
  }
};

}  // namespace encke::bench

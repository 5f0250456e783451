#pragma once
// Backlog: the pushes that wait for one slow client, oldest first, and who goes when they are too
// many.
//
//   Add ->  number: item, item, item, ...  -> Take
//
// A newer push of a name takes the older one's bytes, not its place: order is kept.  So that a name
// that is pushed faster than the line moves is sent all the same, the line is taken in turns: what
// waited when a turn began is not replaced any more.
//
// Owner    session's Sessions: one for each client that has something in line, none for others.
// Thread   the shard's.
// Limit    bytes_max of Add, an empty line takes one item of any size; an item costs its package
//          and kItemBytes.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>

#include "backlog/item.h"

namespace encke::backlog {

// Why an item left the line unsent.
enum class Why : std::uint8_t {
  kFull,   // it went for one that needed its bytes
  kNewer,  // one of its name came
  kLeft,   // the client left its room, or the server
};

class Backlog {
 public:
  static constexpr std::size_t kItemBytes = 128;  // of the line itself, about
  using Lose = std::function<void(const Item&, Why)>;

  // False: it has no room, whatever its policy lets go; then nothing was let go for it.  `lose` is
  // called for each item that goes, when it has gone.
  bool Add(ItemPtr item, std::size_t bytes_max, const Lose& lose);
  // Packages from the front, `bytes_max` of them or the first one alone.
  std::string Take(std::size_t bytes_max);
  // All that waits of a room; of everything.
  void Leave(std::string_view room, const Lose& lose);
  void Clear(const Lose& lose);

  bool empty() const { return line_.empty(); }
  std::size_t size() const { return line_.size(); }
  std::size_t bytes() const { return loose_bytes_ + firm_bytes_; }

 private:
  using Line = std::map<std::uint64_t, ItemPtr>;
  static std::size_t SizeOf(const Item& item) { return item.package.size() + kItemBytes; }
  static bool MayGo(const Item& item) { return item.policy >= Policy::kDropOld; }
  void Remove(Line::iterator at);
  void Replace(const Item& newer, const Lose& lose);
  void Drop(Line::iterator at, Why why, const Lose& lose);

  Line line_;
  std::set<std::uint64_t> loose_;                               // those that may go
  std::unordered_map<std::string_view, std::uint64_t> newest_;  // by a name in line_
  std::uint64_t next_ = 0;
  std::uint64_t turn_ = 0;  // numbers below it are of the turn under way
  std::size_t loose_bytes_ = 0, firm_bytes_ = 0;
};

}  // namespace encke::backlog

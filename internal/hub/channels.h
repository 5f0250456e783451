#pragma once
// Channels: who is here, by slot: 32 bytes each; and AcceptSets: what they want to hear.
//
//   Channel := key 16 | key kind 1 | format 1 | here 1 | free 1 | room 4 | position 4 | accepts 4
//
// A channel of version 2 is in many rooms: its places are in a table beside, which position names.
//
// A key that is a canonical UUID is kept as its 16 raw bytes, one of up to 16 characters as it is,
// a longer one on the heap.
//
// Owner    Hub.
// Thread   the shard's.
// Limit    slots below 2^30; memory follows the highest slot, in blocks that never move.  One set
//          per combination of operations in use, ops_max operations in one set.

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "hub/hub.h"

namespace encke::hub {

inline constexpr std::uint32_t kNoRoom = 0xffffffff;

class CompactKey {
 public:
  CompactKey() = default;
  ~CompactKey() { Clear(); }
  CompactKey(const CompactKey&) = delete;
  CompactKey& operator=(const CompactKey&) = delete;

  void Set(std::string_view key);
  void Clear();
  bool Is(std::string_view key) const;
  std::string Text() const;
  std::size_t HeapBytes() const;

 private:
  static constexpr std::uint8_t kShortMax = 16;  // kind 0..16: that many characters, inline
  static constexpr std::uint8_t kUuid = 17;      // 16 raw bytes
  static constexpr std::uint8_t kHeap = 18;
  std::string_view Heap() const;

  std::array<char, 16> raw_{};  // kHeap: pointer and length, copied in and out: nothing to align
  std::uint8_t kind_ = 0;
};

struct Channel {
  CompactKey key;
  Format format = Format::kTcp;
  bool here = false;
  std::uint32_t room = kNoRoom;
  std::uint32_t position = 0;  // in the room; version 2: in Places
  std::uint32_t accepts = 0;   // AcceptSets::Id
};
static_assert(sizeof(Channel) == 32, "one per connection: keep it small");

// The sets of operations that channels accept, each kept once however many share it: nearly every
// client of an application asks for the same few operations.
class AcceptSets {
 public:
  using Ops = std::vector<std::int32_t>;
  using Id = std::uint32_t;  // 0 is the empty set and always there

  explicit AcceptSets(std::size_t ops_max);

  // Each of these hands out one use of the answer; the use of `from` goes back.
  Id Take(Ops ops);  // any order, repeats allowed
  Id With(Id from, const Ops& more);
  Id Without(Id from, const Ops& fewer);
  void Release(Id id);

  bool Has(Id id, std::int32_t op) const;
  std::size_t size() const { return ids_.size(); }
  std::size_t BytesUsed() const;  // constant time

 private:
  struct Row {
    const Ops* ops = nullptr;  // the key inside ids_; null = free
    std::size_t uses = 0;
  };

  std::size_t ops_max_;
  std::map<Ops, Id> ids_;
  std::vector<Row> rows_;
  std::vector<Id> free_;
  std::size_t bytes_ = 0;  // of the sets
};

// Where the channels of version 2 are: for each a list of (room, position in it).
class Places {
 public:
  struct Place {
    std::uint32_t room = kNoRoom;
    std::uint32_t position = 0;
  };
  std::uint32_t Open();  // an empty list
  void Close(std::uint32_t list);
  void Add(std::uint32_t list, Place place);
  void Remove(std::uint32_t list, std::uint32_t room);
  Place* Find(std::uint32_t list, std::uint32_t room);  // null: not in that room
  const std::vector<Place>& Of(std::uint32_t list) const { return lists_[list]; }
  std::size_t BytesUsed() const;  // constant time

 private:
  std::deque<std::vector<Place>> lists_;
  std::vector<std::uint32_t> free_;
  std::size_t held_ = 0;  // places that the lists have room for
};

class Channels {
 public:
  Channel& Add(Slot slot, std::string_view key);  // asserts that the slot was free
  void Remove(Slot slot);
  Channel* Find(Slot slot);  // null: nobody here
  const Channel* Find(Slot slot) const { return const_cast<Channels*>(this)->Find(slot); }
  Channel& At(Slot slot) { return (*blocks_[slot >> kBlockBits])[slot & (kBlock - 1)]; }
  std::size_t size() const { return size_; }
  Slot end() const { return end_; }  // every slot in use is below
  std::size_t BytesUsed() const;

 private:
  static constexpr std::uint32_t kBlockBits = 10;
  static constexpr std::uint32_t kBlock = 1U << kBlockBits;

  std::vector<std::unique_ptr<std::array<Channel, kBlock>>> blocks_;
  std::size_t size_ = 0;
  std::size_t key_bytes_ = 0;  // on the heap
  Slot end_ = 0;
};

}  // namespace encke::hub

#pragma once
// Directory: key -> (shard, slot) for the whole process, so that a push by key wakes one shard
// only.
//
// Stores 64-bit hashes, not keys: the shard compares the real key (Hub::Is), so two keys with one
// hash both get found and one is refused there.  21 to 43 bytes per key.
//
// Owner    main of comet.
// Thread   any: striped, each stripe behind its own lock.
// Limit    as many as there are connections.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace encke::hub {

struct Home {
  std::uint32_t shard = 0;
  std::uint32_t slot = 0;
  bool operator==(const Home&) const = default;
};

class Directory {
 public:
  // hash_mask: fewer bits make keys collide, for tests.
  explicit Directory(std::uint64_t hash_mask = ~std::uint64_t{0});
  ~Directory();
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  // Adds and answers who else has this hash: the shard asked may find that it is the same key.
  std::vector<Home> Put(std::string_view key, Home home);
  void Remove(std::string_view key, Home home);  // nothing happens if it is not there
  std::vector<Home> Find(std::string_view key) const;
  std::size_t size() const;
  std::size_t BytesUsed() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace encke::hub

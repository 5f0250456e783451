#include "hub/directory.h"

#include <array>
#include <cassert>
#include <cstring>
#include <random>

#include "base/threads.h"

namespace encke::hub {
namespace {

constexpr std::size_t kStripes = 64;
constexpr std::size_t kFirstSize = 16;
constexpr std::uint32_t kNowhere = 0xffffffff;  // shard of an empty entry

struct Entry {
  std::uint64_t hash = 0;
  Home home{.shard = kNowhere};
  bool empty() const { return home.shard == kNowhere; }
};
static_assert(sizeof(Entry) == 16, "one per connection, and a third more");

// Open addressing, linear probing, at most three quarters full.  Removal moves later entries of the
// run back instead of leaving a mark, so probes stay short however many come and go.
class Table {
 public:
  std::vector<Home> Find(std::uint64_t hash) const {
    std::vector<Home> homes;
    if (entries_.empty()) return homes;
    for (std::size_t i = Start(hash); !entries_[i].empty(); i = Next(i))
      if (entries_[i].hash == hash) homes.push_back(entries_[i].home);
    return homes;
  }

  void Add(std::uint64_t hash, Home home) {
    if (4 * (size_ + 1) > 3 * entries_.size()) Grow();
    std::size_t i = Start(hash);
    while (!entries_[i].empty())
      i = Next(i);
    entries_[i] = {.hash = hash, .home = home};
    ++size_;
  }

  bool Remove(std::uint64_t hash, Home home) {
    if (entries_.empty()) return false;
    std::size_t i = Start(hash);
    while (!(entries_[i].hash == hash && entries_[i].home == home)) {
      if (entries_[i].empty()) return false;
      i = Next(i);
    }
    CloseGap(i);
    --size_;
    return true;
  }

  std::size_t size() const { return size_; }
  std::size_t BytesUsed() const { return entries_.capacity() * sizeof(Entry); }

 private:
  std::size_t Start(std::uint64_t hash) const { return hash & (entries_.size() - 1); }
  std::size_t Next(std::size_t i) const { return (i + 1) & (entries_.size() - 1); }

  // An entry may move back to the gap unless the gap lies before the place where it starts probing.
  void CloseGap(std::size_t gap) {
    const std::size_t mask = entries_.size() - 1;
    for (std::size_t i = Next(gap); !entries_[i].empty(); i = Next(i)) {
      const std::size_t from_start = (i - Start(entries_[i].hash)) & mask;
      if (from_start < ((i - gap) & mask)) continue;
      entries_[gap] = entries_[i];
      gap = i;
    }
    entries_[gap] = Entry();
  }

  void Grow() {
    std::vector<Entry> old(entries_.empty() ? kFirstSize : entries_.size() * 2);
    old.swap(entries_);
    size_ = 0;
    for (const Entry& entry : old)
      if (!entry.empty()) Add(entry.hash, entry.home);
  }

  std::vector<Entry> entries_;  // a power of two of them
  std::size_t size_ = 0;
};

std::uint64_t RandomSeed() {
  std::random_device device;
  return static_cast<std::uint64_t>(device()) << 32 | device();
}

}  // namespace

struct Directory::Impl {
  std::uint64_t mask = 0;
  // Keys come from clients: without a secret they could be chosen to collide.
  const std::uint64_t seed = RandomSeed();
  const std::uint64_t factor = RandomSeed() | 1;
  std::array<Guarded<Table>, kStripes> stripes;

  std::uint64_t Fold(std::uint64_t a, std::uint64_t b) const {
    __extension__ using Wide = unsigned __int128;
    const Wide product = static_cast<Wide>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  }

  std::uint64_t Hash(std::string_view key) const {
    std::uint64_t hash = seed ^ key.size();
    while (!key.empty()) {
      std::uint64_t word = 0;
      const std::size_t size = std::min(key.size(), sizeof word);
      std::memcpy(&word, key.data(), size);
      hash = Fold(hash ^ word, factor) + seed;
      key.remove_prefix(size);
    }
    return Fold(hash, factor) & mask;
  }

  Guarded<Table>& StripeOf(std::uint64_t hash) { return stripes[(hash >> 48) % kStripes]; }
};

Directory::Directory(std::uint64_t hash_mask) : impl_(std::make_unique<Impl>()) {
  impl_->mask = hash_mask;
}
Directory::~Directory() = default;

std::vector<Home> Directory::Put(std::string_view key, Home home) {
  assert(home.shard != kNowhere);
  const std::uint64_t hash = impl_->Hash(key);
  return impl_->StripeOf(hash).With([&](Table& table) {
    std::vector<Home> others = table.Find(hash);
    if (std::erase(others, home) == 0) table.Add(hash, home);
    return others;
  });
}

void Directory::Remove(std::string_view key, Home home) {
  const std::uint64_t hash = impl_->Hash(key);
  impl_->StripeOf(hash).With([&](Table& table) { table.Remove(hash, home); });
}

std::vector<Home> Directory::Find(std::string_view key) const {
  const std::uint64_t hash = impl_->Hash(key);
  return impl_->StripeOf(hash).With([&](const Table& table) { return table.Find(hash); });
}

std::size_t Directory::size() const {
  std::size_t size = 0;
  for (const auto& stripe : impl_->stripes)
    size += stripe.With([](const Table& table) { return table.size(); });
  return size;
}

std::size_t Directory::BytesUsed() const {
  std::size_t bytes = sizeof(Impl);
  for (const auto& stripe : impl_->stripes)
    bytes += stripe.With([](const Table& table) { return table.BytesUsed(); });
  return bytes;
}

}  // namespace encke::hub

#include "hub/channels.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <iterator>
#include <utility>

namespace encke::hub {
namespace {

constexpr std::size_t kUuidText = 36;
constexpr char kHex[] = "0123456789abcdef";

bool IsDash(std::size_t i) { return i == 8 || i == 13 || i == 18 || i == 23; }

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;  // capitals too: the text must come back exactly
}

bool PackUuid(std::string_view text, std::array<char, 16>* out) {
  if (text.size() != kUuidText) return false;
  std::size_t digits = 0;
  for (std::size_t i = 0; i < kUuidText; ++i) {
    if (IsDash(i)) {
      if (text[i] != '-') return false;
      continue;
    }
    const int value = HexValue(text[i]);
    if (value < 0) return false;
    char& byte = (*out)[digits / 2];
    byte = static_cast<char>(digits % 2 == 0 ? value << 4 : byte | value);
    ++digits;
  }
  return true;
}

std::string UuidText(const std::array<char, 16>& raw) {
  std::string text(kUuidText, '-');
  std::size_t digits = 0;
  for (std::size_t i = 0; i < kUuidText; ++i) {
    if (IsDash(i)) continue;
    const auto byte = static_cast<unsigned char>(raw[digits / 2]);
    text[i] = kHex[digits % 2 == 0 ? byte >> 4 : byte & 15];
    ++digits;
  }
  return text;
}

AcceptSets::Ops Tidy(AcceptSets::Ops ops) {
  std::sort(ops.begin(), ops.end());
  ops.erase(std::unique(ops.begin(), ops.end()), ops.end());
  return ops;
}

std::size_t BytesOf(const AcceptSets::Ops& ops) {
  constexpr std::size_t kMapNode = 48;
  return kMapNode + sizeof(AcceptSets::Ops) + ops.capacity() * sizeof ops[0];
}

}  // namespace

void CompactKey::Set(std::string_view key) {
  Clear();
  if (key.size() <= kShortMax) {
    std::copy(key.begin(), key.end(), raw_.begin());
    kind_ = static_cast<std::uint8_t>(key.size());
  } else if (PackUuid(key, &raw_)) {
    kind_ = kUuid;
  } else {
    char* text = new char[key.size()];
    const std::size_t size = key.size();
    std::memcpy(text, key.data(), size);
    std::memcpy(raw_.data(), &text, sizeof text);
    std::memcpy(raw_.data() + sizeof text, &size, sizeof size);
    kind_ = kHeap;
  }
}

void CompactKey::Clear() {
  if (kind_ == kHeap) delete[] Heap().data();
  kind_ = 0;
}

std::string_view CompactKey::Heap() const {
  const char* text = nullptr;
  std::size_t size = 0;
  std::memcpy(&text, raw_.data(), sizeof text);
  std::memcpy(&size, raw_.data() + sizeof text, sizeof size);
  return {text, size};
}

bool CompactKey::Is(std::string_view key) const {
  if (kind_ <= kShortMax) return key == std::string_view(raw_.data(), kind_);
  if (kind_ == kHeap) return key == Heap();
  std::array<char, 16> other{};
  return PackUuid(key, &other) && other == raw_;
}

std::string CompactKey::Text() const {
  if (kind_ <= kShortMax) return {raw_.data(), kind_};
  return kind_ == kHeap ? std::string(Heap()) : UuidText(raw_);
}

std::size_t CompactKey::HeapBytes() const { return kind_ == kHeap ? Heap().size() : 0; }

Channel& Channels::Add(Slot slot, std::string_view key) {
  assert(slot < 0x80000000U);
  while (blocks_.size() <= slot >> kBlockBits) {
    blocks_.push_back(std::make_unique<std::array<Channel, kBlock>>());
  }
  Channel& channel = At(slot);
  assert(!channel.here);
  channel.here = true;
  channel.key.Set(key);
  key_bytes_ += channel.key.HeapBytes();
  ++size_;
  end_ = std::max(end_, slot + 1);
  return channel;
}

void Channels::Remove(Slot slot) {
  Channel& channel = At(slot);
  assert(channel.here);
  key_bytes_ -= channel.key.HeapBytes();
  channel.key.Clear();
  channel.here = false;
  --size_;
}

Channel* Channels::Find(Slot slot) {
  if (slot >= end_) return nullptr;
  Channel& channel = At(slot);
  return channel.here ? &channel : nullptr;
}

std::size_t Channels::BytesUsed() const {
  return blocks_.size() * sizeof(std::array<Channel, kBlock>) +
         blocks_.capacity() * sizeof(blocks_[0]) + key_bytes_;
}

AcceptSets::AcceptSets(std::size_t ops_max) : ops_max_(ops_max) {
  rows_.push_back({.ops = &ids_.emplace(Ops{}, 0).first->first, .uses = 1});
}

AcceptSets::Id AcceptSets::Take(Ops ops) {
  ops = Tidy(std::move(ops));
  if (ops.size() > ops_max_) ops.resize(ops_max_);
  auto [at, fresh] = ids_.try_emplace(std::move(ops), 0);
  if (fresh) {
    if (free_.empty()) {
      at->second = static_cast<Id>(rows_.size());
      rows_.emplace_back();
    } else {
      at->second = free_.back();
      free_.pop_back();
    }
    rows_[at->second].ops = &at->first;
    bytes_ += BytesOf(at->first);
  }
  ++rows_[at->second].uses;
  return at->second;
}

AcceptSets::Id AcceptSets::With(Id from, const Ops& more) {
  Ops all = *rows_[from].ops;
  all.insert(all.end(), more.begin(), more.end());
  const Id id = Take(std::move(all));
  Release(from);
  return id;
}

AcceptSets::Id AcceptSets::Without(Id from, const Ops& fewer) {
  const Ops gone = Tidy(fewer);
  const Ops& had = *rows_[from].ops;
  Ops rest;
  std::set_difference(had.begin(), had.end(), gone.begin(), gone.end(), std::back_inserter(rest));
  const Id id = Take(std::move(rest));
  Release(from);
  return id;
}

void AcceptSets::Release(Id id) {
  Row& row = rows_[id];
  assert(row.uses > 0);
  if (--row.uses > 0) return;
  bytes_ -= BytesOf(*row.ops);
  ids_.erase(ids_.find(*row.ops));
  row.ops = nullptr;
  free_.push_back(id);
}

bool AcceptSets::Has(Id id, std::int32_t op) const {
  const Ops& ops = *rows_[id].ops;
  return std::binary_search(ops.begin(), ops.end(), op);
}

std::size_t AcceptSets::BytesUsed() const {
  return rows_.capacity() * sizeof(Row) + free_.capacity() * sizeof(Id) + bytes_;
}

std::uint32_t Places::Open() {
  if (free_.empty()) {
    lists_.emplace_back();
    return static_cast<std::uint32_t>(lists_.size() - 1);
  }
  const std::uint32_t list = free_.back();
  free_.pop_back();
  return list;
}

void Places::Close(std::uint32_t list) {
  assert(lists_[list].empty());
  held_ -= lists_[list].capacity();
  lists_[list] = {};
  free_.push_back(list);
}

void Places::Add(std::uint32_t list, Place place) {
  std::vector<Place>& places = lists_[list];
  held_ -= places.capacity();
  places.push_back(place);
  held_ += places.capacity();
}

void Places::Remove(std::uint32_t list, std::uint32_t room) {
  std::erase_if(lists_[list], [room](const Place& place) { return place.room == room; });
}

Places::Place* Places::Find(std::uint32_t list, std::uint32_t room) {
  for (Place& place : lists_[list])
    if (place.room == room) return &place;
  return nullptr;
}

std::size_t Places::BytesUsed() const {
  return lists_.size() * sizeof(std::vector<Place>) + held_ * sizeof(Place);
}

}  // namespace encke::hub

#pragma once
// Outbox: what the kernel did not take yet: references to shared bytes, and how far into the first.
//
// Owner    a Connection, only while something waits.
// Thread   the loop's.
// Limit    none here: Connections asks bytes() against outbox_bytes_max before it adds.

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"

namespace encke::net {

class Outbox {
 public:
  // offset: how much of them has gone already.
  void Add(SharedBytes bytes, std::size_t offset) {
    assert(offset < bytes->size());
    if (pieces_.empty()) offset_ = offset;
    assert(offset == 0 || pieces_.empty());
    bytes_ += bytes->size() - offset;
    pieces_.push_back(std::move(bytes));
  }

  bool empty() const { return bytes_ == 0; }
  std::size_t bytes() const { return bytes_; }

  // Up to `most` pieces from the front: calls take(view) for each.
  template <class F>
  void Front(std::size_t most, F&& take) const {
    const std::size_t end = std::min(first_ + most, pieces_.size());
    for (std::size_t i = first_; i < end; ++i) {
      std::string_view piece = *pieces_[i];
      if (i == first_) piece.remove_prefix(offset_);
      take(piece);
    }
  }

  void Drop(std::size_t sent) {
    assert(sent <= bytes_);
    bytes_ -= sent;
    offset_ += sent;
    while (first_ < pieces_.size() && offset_ >= pieces_[first_]->size()) {
      offset_ -= pieces_[first_]->size();
      pieces_[first_++].reset();
    }
    if (first_ * 2 > pieces_.size()) {
      pieces_.erase(pieces_.begin(), pieces_.begin() + static_cast<std::ptrdiff_t>(first_));
      first_ = 0;
    }
  }

 private:
  std::vector<SharedBytes> pieces_;
  std::size_t first_ = 0;   // pieces before it are gone
  std::size_t offset_ = 0;  // bytes of the first one that are gone
  std::size_t bytes_ = 0;
};

}  // namespace encke::net

#pragma once
// Item: one push as it waits for slow clients, encoded once for all of them who speak one version;
// and Fate, what became of a push here.
//
// Owner    shared by the batch it is from and by everybody who waits for it.
// Thread   any: nothing but its fate changes.
// Limit    none here.

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "backlog/rules.h"

namespace encke::backlog {

// What became of one push on this comet, when its sender asked; written by all shards.
struct Fate {
  std::atomic<std::uint64_t> sent{0}, queued{0}, slow{0}, excluded{0}, filtered{0};
  std::atomic<std::uint64_t> conflated{0};            // a newer one of its name took its place
  std::atomic<std::uint64_t> overflow{0};             // shards whose bound it would have passed
  std::atomic<std::uint64_t> expired{0}, unknown{0};  // too late; the key is not here any more
};

struct Item {
  std::string package;
  Policy policy = Policy::kDropNew;
  std::string name = {};  // kLatest: which ones replace each other
  std::string room = {};  // or inbox; empty = neither
  std::uint64_t epoch = 0;
  std::uint64_t seq = 0;  // in the timeline of that name; 0 = in none
  std::shared_ptr<Fate> fate = nullptr;
};
using ItemPtr = std::shared_ptr<const Item>;

}  // namespace encke::backlog

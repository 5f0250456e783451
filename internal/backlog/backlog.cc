#include "backlog/backlog.h"

#include <utility>

namespace encke::backlog {

bool Backlog::Add(ItemPtr item, std::size_t bytes_max, const Lose& lose) {
  const std::size_t size = SizeOf(*item);
  const std::size_t stays = item->policy == Policy::kDropNew ? bytes() : firm_bytes_;
  if (stays > 0 && stays + size > bytes_max) return false;
  if (item->policy == Policy::kLatest) Replace(*item, lose);
  while (bytes() + size > bytes_max && !loose_.empty())
    Drop(line_.find(*loose_.begin()), Why::kFull, lose);

  const std::uint64_t number = next_++;
  if (MayGo(*item)) loose_.insert(number);
  if (item->policy == Policy::kLatest) {
    newest_.erase(item->name);  // its text is the older item's
    newest_.emplace(item->name, number);
  }
  (MayGo(*item) ? loose_bytes_ : firm_bytes_) += size;
  line_.emplace_hint(line_.end(), number, std::move(item));
  return true;
}

void Backlog::Replace(const Item& newer, const Lose& lose) {
  const auto older = newest_.find(newer.name);
  if (older == newest_.end() || older->second < turn_) return;
  Drop(line_.find(older->second), Why::kNewer, lose);
}

std::string Backlog::Take(std::size_t bytes_max) {
  std::string packages;
  if (!line_.empty() && line_.begin()->first >= turn_) turn_ = next_;
  while (!line_.empty()) {
    const std::string& package = line_.begin()->second->package;
    if (!packages.empty() && packages.size() + package.size() > bytes_max) break;
    packages += package;
    Remove(line_.begin());
  }
  return packages;
}

void Backlog::Leave(std::string_view room, const Lose& lose) {
  for (auto at = line_.begin(); at != line_.end();) {
    const auto next = std::next(at);
    if (at->second->room == room) Drop(at, Why::kLeft, lose);
    at = next;
  }
}

void Backlog::Clear(const Lose& lose) {
  while (!line_.empty())
    Drop(line_.begin(), Why::kLeft, lose);
}

void Backlog::Drop(Line::iterator at, Why why, const Lose& lose) {
  const ItemPtr item = at->second;
  Remove(at);
  lose(*item, why);
}

void Backlog::Remove(Line::iterator at) {
  const Item& item = *at->second;
  (MayGo(item) ? loose_bytes_ : firm_bytes_) -= SizeOf(item);
  loose_.erase(at->first);
  const auto newest = newest_.find(item.name);
  if (newest != newest_.end() && newest->second == at->first) newest_.erase(newest);
  line_.erase(at);
}

}  // namespace encke::backlog

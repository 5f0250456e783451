#include "fleet/roster.h"

#include <algorithm>
#include <utility>

namespace encke::fleet {
namespace {

bool GoesIntoKey(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

}  // namespace

std::string RegistryKey(std::string_view kind, std::string_view id) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string key(kind);
  key += '.';
  for (const char c : id) {
    if (GoesIntoKey(c)) {
      key += c;
      continue;
    }
    key += '=';
    key += kHex[static_cast<unsigned char>(c) >> 4];
    key += kHex[static_cast<unsigned char>(c) & 15];
  }
  return key;
}

void Roster::Heard(const std::string& key, Instance instance, std::int64_t now_ms) {
  nodes_.insert_or_assign(key, Node{std::move(instance), now_ms, 0});
}

void Roster::Goodbye(const std::string& key) { nodes_.erase(key); }

void Roster::Deaf(std::int64_t now_ms) {
  losses_.clear();
  for (auto& [key, node] : nodes_)
    node.heard_ms = std::max(node.heard_ms, now_ms);
}

// Those that died together did not put together, so the last of them have been silent for a put
// interval less than the first: whoever missed a put counts as vanished, and so does everybody
// removed within the last expiry.
bool Roster::Massacre(const std::string& kind, std::int64_t now_ms) const {
  const std::int64_t late_ms = options_.expire.count() - options_.put_interval.count() * 3 / 2;
  std::int64_t lost = std::count_if(losses_.begin(), losses_.end(),
                                    [&](const Loss& loss) { return loss.kind == kind; });
  std::int64_t known = lost;
  for (const auto& [key, node] : nodes_) {
    if (node.instance.kind() != kind) continue;
    ++known;
    if (now_ms - node.heard_ms >= late_ms) ++lost;
  }
  return lost * 2 > known;
}

std::vector<std::string> Roster::Silent(std::int64_t now_ms) const {
  std::vector<std::string> silent;
  for (const auto& [key, node] : nodes_) {
    if (now_ms - node.heard_ms >= options_.expire.count()) silent.push_back(key);
  }
  return silent;
}

std::vector<Instance> Roster::Suspects(std::int64_t now_ms) const {
  std::vector<Instance> suspects;
  for (const std::string& key : Silent(now_ms)) {
    const Node& node = nodes_.at(key);
    if (node.doubted_since_ms == 0 && Massacre(node.instance.kind(), now_ms)) {
      suspects.push_back(node.instance);
    }
  }
  return suspects;
}

int Roster::Expire(std::int64_t now_ms, const std::set<std::string>& dead) {
  const std::int64_t expire_ms = options_.expire.count();
  std::erase_if(losses_, [&](const Loss& loss) { return now_ms - loss.at_ms > expire_ms; });
  const std::vector<std::string> silent = Silent(now_ms);
  // Judged before any of them is removed: they vanished together.
  std::map<std::string, bool> massacre;
  for (const std::string& key : silent) {
    const std::string& kind = nodes_.at(key).instance.kind();
    massacre.emplace(kind, Massacre(kind, now_ms));
  }
  int doubted = 0;
  for (const std::string& key : silent) {
    Node& node = nodes_.at(key);
    if (dead.contains(key)) {
      nodes_.erase(key);
    } else if (node.doubted_since_ms != 0) {
      if (now_ms - node.doubted_since_ms >= options_.distrust.count()) nodes_.erase(key);
    } else if (massacre[node.instance.kind()]) {
      node.doubted_since_ms = now_ms;
      ++doubted;
    } else {
      losses_.push_back({node.instance.kind(), now_ms});
      nodes_.erase(key);
    }
  }
  return doubted;
}

std::vector<Instance> Roster::List(const std::string& kind) const {
  std::vector<Instance> all;
  for (const auto& [key, node] : nodes_) {
    if (node.instance.kind() == kind) all.push_back(node.instance);
  }
  std::sort(all.begin(), all.end(),
            [](const Instance& a, const Instance& b) { return a.id() < b.id(); });
  return all;
}

std::string Roster::Picture(const std::string& kind) const {
  std::string picture;
  for (const Instance& instance : List(kind)) {
    Instance facts;
    facts.set_id(instance.id());
    facts.set_boot(instance.boot());
    facts.set_grpc(instance.grpc());
    *facts.mutable_addrs() = instance.addrs();
    facts.set_offline(instance.offline());
    const std::string text = facts.SerializeAsString();
    picture += std::to_string(text.size()) + ':' + text;
  }
  return picture;
}

}  // namespace encke::fleet

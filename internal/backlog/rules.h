#pragma once
// Rules: what becomes of a push when its connection's queue is full: by room type and operation.
//
// Owner    the configuration; the hub keeps a copy and hands out references.
// Thread   any: nothing changes after the start.
// Limit    one rule per room type that the configuration names.

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace encke::backlog {

enum class Policy : std::uint8_t {
  kDropNew,  // it is dropped
  kKeep,     // nothing may be dropped: the connection is closed
  kDropOld,  // the oldest that may go are dropped for it
  kLatest,   // while one waits it is replaced by the next of its name; else as kDropOld
};
inline constexpr std::size_t kPolicies = 4;
inline constexpr const char* kPolicyNames[kPolicies] = {"drop_new", "keep", "drop_old", "latest"};

struct Rule {
  Policy policy = Policy::kDropNew;
  std::map<std::int32_t, Policy> ops = {};  // those that fare otherwise

  Policy Of(std::int32_t op) const {
    const auto at = ops.find(op);
    return at == ops.end() ? policy : at->second;
  }
  // What waits of it waits push by push, not batch by batch.
  bool apart() const { return policy >= Policy::kDropOld || !ops.empty(); }
};
inline const Rule kPlainRule;

class Rules {
 public:
  // Not a type of rooms: what is pushed to keys and users.  A room cannot have it.
  static constexpr std::string_view kUser = "user";
  // Every type without a rule of its own, and what is pushed to everybody.
  static constexpr std::string_view kOther = "*";

  void Set(const std::string& type, Rule rule) {
    apart_ = apart_ || rule.apart();
    by_type_[type] = std::move(rule);
  }
  const Rule& Of(std::string_view type) const {
    auto at = by_type_.find(type);
    if (at == by_type_.end()) at = by_type_.find(kOther);
    return at == by_type_.end() ? kPlainRule : at->second;
  }
  bool apart() const { return apart_; }  // one of them is

 private:
  std::map<std::string, Rule, std::less<>> by_type_;
  bool apart_ = false;
};

}  // namespace encke::backlog

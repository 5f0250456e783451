#pragma once
// Addresses: where logics are, and which of them failed us last.
//
// Owner    LogicLink, inside its lock.
// Thread   none of its own.
// Limit    what discovery says.

#include <algorithm>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace encke::uplink {

class Addresses {
 public:
  void Set(std::vector<std::string> all) { all_ = std::move(all); }
  void Avoid(std::string address) { avoid_ = std::move(address); }

  // One by chance, not the avoided one if there is another; empty: there is none.
  std::string Choose() {
    std::vector<std::string> choice = all_;
    if (choice.size() > 1) std::erase(choice, avoid_);
    if (choice.empty()) return {};
    return choice[std::uniform_int_distribution<std::size_t>(0, choice.size() - 1)(random_)];
  }

 private:
  std::vector<std::string> all_;
  std::string avoid_;
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace encke::uplink

#pragma once
// Addresses: the distinct client addresses of authenticated connections, each stored once.
//
// Owner    main of comet.
// Thread   any (guarded inside).
// Limit    one entry per distinct address.

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/threads.h"

namespace encke::session {

class Addresses {
 public:
  std::uint32_t Enter(std::string_view address) {
    return table_.With([&](Table& t) {
      auto [at, fresh] = t.ids.try_emplace(std::string(address), 0);
      if (fresh) at->second = t.Take(at->first);
      ++t.uses[at->second].count;
      return at->second;
    });
  }

  void Leave(std::uint32_t id) {
    table_.With([&](Table& t) {
      if (--t.uses[id].count > 0) return;
      t.ids.erase(*t.uses[id].address);
      t.uses[id].address = nullptr;
      t.free.push_back(id);
    });
  }

  std::size_t distinct() const {
    return table_.With([](const Table& t) { return t.ids.size(); });
  }

 private:
  struct Use {
    const std::string* address = nullptr;  // the key in ids, which does not move
    std::uint32_t count = 0;
  };
  struct Table {
    std::unordered_map<std::string, std::uint32_t> ids;
    std::vector<Use> uses;
    std::vector<std::uint32_t> free;

    std::uint32_t Take(const std::string& address) {
      if (free.empty()) {
        uses.push_back({&address, 0});
        return static_cast<std::uint32_t>(uses.size() - 1);
      }
      const std::uint32_t id = free.back();
      free.pop_back();
      uses[id] = {&address, 0};
      return id;
    }
  };

  Guarded<Table> table_;
};

}  // namespace encke::session

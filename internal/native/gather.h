#pragma once
// Gather: what came of many things that were begun together, in their order.
//
// Owner    shared by those who will put.
// Thread   any; `done` on the thread of the last Put.
// Limit    count, at least one; each place is put once.

#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

#include "base/threads.h"

namespace encke::native {

template <class T>
class Gather {
 public:
  Gather(std::size_t count, std::function<void(std::vector<T>)> done)
      : state_(State{count, std::vector<T>(count)}), done_(std::move(done)) {}

  void Put(std::size_t i, T result) {
    const bool last = state_.With([&](State& s) {
      s.results[i] = std::move(result);
      return --s.missing == 0;
    });
    if (last) done_(state_.With([](State& s) { return std::move(s.results); }));
  }

 private:
  struct State {
    std::size_t missing = 0;
    std::vector<T> results;
  };
  Guarded<State> state_;
  const std::function<void(std::vector<T>)> done_;
};

}  // namespace encke::native

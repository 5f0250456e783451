#pragma once
// Await: turns a callback into a return value, for tests against real servers.
//
// Owner    the test.
// Thread   the callback may come on any thread, also after Get gave up.
// Limit    Get waits 10 s.

#include <cassert>
#include <chrono>
#include <future>
#include <memory>
#include <utility>

namespace encke::test {

template <class T>
class Await {
 public:
  auto Callback() {
    return [promise = promise_](T value) { promise->set_value(std::move(value)); };
  }
  T Get() {
    const auto ready = future_.wait_for(std::chrono::seconds(10));
    assert(ready == std::future_status::ready);
    return future_.get();
  }

 private:
  std::shared_ptr<std::promise<T>> promise_ = std::make_shared<std::promise<T>>();
  std::future<T> future_ = promise_->get_future();
};

}  // namespace encke::test

#pragma once
// What the live tests of the bus share: a server, a connection to it, and patience.
//
// Owner    each test.
// Thread   one.
// Limit    Eventually gives up after ten seconds.

#include <chrono>
#include <memory>
#include <thread>

#include <gtest/gtest.h>

#include "bus/nats.h"
#include "bus/push_log.h"
#include "support/nats_server.h"

namespace encke::bus {

template <class F>
bool Eventually(F&& true_now, std::chrono::milliseconds patience = std::chrono::seconds(10)) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!true_now()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

class LiveTest : public testing::Test {
 protected:
  LiveTest() : nats_(Connect()) {}

  std::unique_ptr<Nats> Connect() {
    NatsOptions options;
    options.servers = server_.urls();
    auto nats = Nats::Connect(options);
    EXPECT_TRUE(nats) << (nats ? "" : nats.error().text);
    return nats ? std::move(*nats) : nullptr;
  }
  static LogOptions Log() {
    LogOptions log;
    log.partitions = 4;
    log.max_bytes = 256 << 20;
    return log;
  }
  void EnsureLog(const LogOptions& log = Log()) {
    const Status made = nats_->EnsureLog(log);
    ASSERT_TRUE(made) << made.error().text;
  }

  test::NatsServer server_;
  std::unique_ptr<Nats> nats_;
};

}  // namespace encke::bus

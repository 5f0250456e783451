// The loop's mailbox and the wheel of deadlines.

#include <cstdint>
#include <cstdlib>
#include <random>

#include <benchmark/benchmark.h>

#include "net/loop.h"
#include "net/wheel.h"

namespace encke::net {
namespace {

// N tasks posted, then one turn that runs them: items are tasks.
void Mailbox(benchmark::State& state) {
  auto made = Loop::Make({});
  if (!made) return state.SkipWithError("no loop");
  Loop& loop = **made;
  std::int64_t done = 0;
  for (auto _ : state) {
    for (std::int64_t i = 0; i < state.range(0); ++i) {
      if (!loop.Post([&done] { ++done; })) std::abort();
    }
    loop.Turn(0);
  }
  if (done != state.iterations() * state.range(0)) state.SkipWithError("tasks are missing");
  state.SetItemsProcessed(done);
}
BENCHMARK(Mailbox)->Arg(1)->Arg(100)->Arg(10'000);

constexpr std::int64_t kHeartbeatMs = 480'000;

// A heartbeat of one of N clients: its deadline moves later.
void WheelHeartbeat(benchmark::State& state) {
  const auto clients = static_cast<std::uint32_t>(state.range(0));
  Wheel wheel(0);
  for (std::uint32_t id = 0; id < clients; ++id)
    wheel.Set(id, kHeartbeatMs + id % 1000);
  std::minstd_rand random(1);
  std::int64_t now = 1000;
  for (auto _ : state)
    wheel.Set(static_cast<std::uint32_t>(random()) % clients, ++now + kHeartbeatMs);
}
BENCHMARK(WheelHeartbeat)->Arg(1000)->Arg(1'000'000);

// A second of time passes over N clients that are due every 240 s.
void WheelAdvance(benchmark::State& state) {
  const auto clients = static_cast<std::uint32_t>(state.range(0));
  Wheel wheel(0);
  for (std::uint32_t id = 0; id < clients; ++id)
    wheel.Set(id, static_cast<std::int64_t>(id) * 240'000 / clients);
  std::int64_t now = 0;
  for (auto _ : state) {
    now += 1000;
    wheel.Advance(now, clients, [&](std::uint32_t id) { wheel.Set(id, now + 240'000); });
  }
}
BENCHMARK(WheelAdvance)->Arg(1000)->Arg(1'000'000);

}  // namespace
}  // namespace encke::net

// Building batches and walking rooms, with a sink that takes everything and does nothing: what is
// left is our own share of a delivery.

#include "hub/hub.h"

#include <cstdint>
#include <string>
#include <utility>

#include <benchmark/benchmark.h>

#include "hub/batch.h"

namespace encke::hub {
namespace {

class EmptySink final : public Sink {
 public:
  Taken Send(Slot slot, const SharedBytes& bytes, std::size_t messages, const Rule& rule) override {
    benchmark::DoNotOptimize(&rule);
    benchmark::DoNotOptimize(slot);
    benchmark::DoNotOptimize(bytes.get());
    benchmark::DoNotOptimize(messages);
    return Taken::kSent;
  }
};

void Join(Hub* hub, Slot slot, Format format, const std::string& room) {
  hub->Enter(slot, format, Key(std::to_string(slot)), {1000});
  hub->Join(slot, RoomId(room));
}

void FlushAll(Hub* hub) {
  while (hub->Flush(1'000'000)) {
  }
}

const std::string& Body() {
  static const std::string body(50, 'x');
  return body;
}

// Pushes gathered for a room with members of version 1, of version 2, or of both (argument 2), and
// wrapped for both transports: items are pushes.
void BatchBuild(benchmark::State& state) {
  const bool ones = state.range(1) != 2;
  const bool twos = state.range(1) != 1;
  const Push push{.what = {.op = 1000, .body = Body()}};
  for (auto _ : state) {
    Batch batch;
    for (std::int64_t i = 0; i < state.range(0); ++i)
      batch.Add(push, ones, twos);
    Outgoing outgoing(std::move(batch.one), std::move(batch.two));
    if (ones) benchmark::DoNotOptimize(outgoing.As(Format::kTcp));
    if (ones) benchmark::DoNotOptimize(outgoing.As(Format::kWs));
    if (twos) benchmark::DoNotOptimize(outgoing.As(Format::kTcp2));
    if (twos) benchmark::DoNotOptimize(outgoing.As(Format::kWs2));
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BatchBuild)->ArgsProduct({{1, 20, 1000}, {1, 2, 3}});

// One push to a room of N: items are deliveries.
void RoomWalk(benchmark::State& state) {
  EmptySink sink;
  Hub hub({}, sink);
  for (Slot slot = 0; slot < static_cast<Slot>(state.range(0)); ++slot)
    Join(&hub, slot, slot % 2 == 0 ? Format::kTcp : Format::kWs, "room");
  for (auto _ : state) {
    hub.PushRoom("room", 1000, Body());
    FlushAll(&hub);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(RoomWalk)->Arg(10)->Arg(1000)->Arg(10'000)->Arg(1'000'000);

// A push to each of N rooms of ten, as many small chats make them.
void ManyRooms(benchmark::State& state) {
  EmptySink sink;
  Hub hub({}, sink);
  const auto rooms = static_cast<Slot>(state.range(0));
  for (Slot slot = 0; slot < rooms * 10; ++slot)
    Join(&hub, slot, Format::kTcp, "room" + std::to_string(slot % rooms));
  for (auto _ : state) {
    for (Slot room = 0; room < rooms; ++room)
      hub.PushRoom("room" + std::to_string(room), 1000, Body());
    FlushAll(&hub);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0) * 10);
}
BENCHMARK(ManyRooms)->Arg(100)->Arg(10'000);

// A client comes, joins and goes, beside N others.
void ComeAndGo(benchmark::State& state) {
  EmptySink sink;
  Hub hub({}, sink);
  const auto others = static_cast<Slot>(state.range(0));
  for (Slot slot = 0; slot < others; ++slot)
    Join(&hub, slot, Format::kTcp, "room");
  for (auto _ : state) {
    Join(&hub, others, Format::kTcp, "room");
    hub.Leave(others);
  }
}
BENCHMARK(ComeAndGo)->Arg(10)->Arg(100'000);

}  // namespace
}  // namespace encke::hub

// Bytes to packages and back: what every byte from and to a client passes through.

#include <cstdint>
#include <string>

#include <benchmark/benchmark.h>

#include "wire/package.h"
#include "wire/ws_frame.h"
#include "wire/ws_upgrade.h"

namespace encke::wire {
namespace {

std::string Body(const benchmark::State& state) {
  return std::string(static_cast<std::size_t>(state.range(0)), 'x');
}

void PackageEncode(benchmark::State& state) {
  const std::string body = Body(state);
  std::string out;
  for (auto _ : state) {
    out.clear();
    AppendPackage(&out, {.ver = 1, .op = 1000, .seq = 0, .body = body});
    benchmark::DoNotOptimize(out.data());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(out.size()));
}
BENCHMARK(PackageEncode)->Arg(50)->Arg(4096);

void PackageParse(benchmark::State& state) {
  const std::string body = Body(state);
  std::string in;
  AppendPackage(&in, {.ver = 1, .op = 2, .seq = 7, .body = body});
  Package package;
  std::size_t consumed = 0;
  for (auto _ : state)
    benchmark::DoNotOptimize(ParseStream(in, &package, &consumed));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(in.size()));
}
BENCHMARK(PackageParse)->Arg(0)->Arg(4096);

// A masked frame, as browsers send them. Parsing clears the mask, so the frame is put back each
// time: the copy is in the figure.
void WsUnmask(benchmark::State& state) {
  const std::string body = Body(state);
  std::string frame;
  AppendWsHeader(&frame, WsOpcode::kBinary, body.size());
  frame[1] = static_cast<char>(frame[1] | 0x80);
  frame += "\x12\x34\x56\x78" + body;
  std::string work = frame;
  WsFrame out;
  std::size_t consumed = 0;
  for (auto _ : state) {
    work.assign(frame);
    benchmark::DoNotOptimize(ParseWsFrame(work.data(), work.size(), body.size(), &out, &consumed));
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(WsUnmask)->Arg(16)->Arg(64)->Arg(4096);

void WsHandshake(benchmark::State& state) {
  const std::string request =
      "GET /sub HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
  WsUpgrade upgrade;
  std::size_t consumed = 0;
  int status = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(ParseUpgrade(request, &upgrade, &consumed, &status));
    benchmark::DoNotOptimize(UpgradeAnswer(upgrade.key));
  }
}
BENCHMARK(WsHandshake);

}  // namespace
}  // namespace encke::wire

// encke-gate: what a push, a heartbeat and a connection cost, in things that can be counted:
// allocations, heap bytes, writes. Run under strace or valgrind it gives system calls and
// instructions; the clients are another process, so only the server is counted.
//
//   encke-gate CLIENTS PUSHES     one shard's sessions, half TCP, half WebSocket, all in one room;
//                                 prints one JSON object
//
// What counts from outside finds the pushes by the function PushAll (callgrind) or by the two calls
// of access() around it (strace): how many turns the log-ins took is another matter each time.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>
#include <string_view>

#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include "gate/clients.h"
#include "unit/session/world.h"

namespace {

unsigned long long allocations = 0;

void* Allocate(std::size_t size) {
  ++allocations;
  if (void* got = std::malloc(size == 0 ? 1 : size)) return got;
  std::abort();
}

}  // namespace

void* operator new(std::size_t size) { return Allocate(size); }
void* operator new[](std::size_t size) { return Allocate(size); }
void operator delete(void* at) noexcept { std::free(at); }
void operator delete[](void* at) noexcept { std::free(at); }
void operator delete(void* at, std::size_t) noexcept { std::free(at); }
void operator delete[](void* at, std::size_t) noexcept { std::free(at); }

namespace encke::gate {
namespace {

using session::World;

// Where the slope of memory begins: just past a chunk of the session slab and past a power of two,
// as the number of clients should be too, so that what grows in steps counts as what it is.
constexpr std::uint32_t kFewClients = 4100;
constexpr char kRoom[] = "gate://1";

double HeapBytes() {
  const auto info = mallinfo2();
  return static_cast<double>(info.uordblks + info.hblkhd);
}

void LetAllIn(World* world, Clients* clients) {
  for (int turns = 0; !clients->done(); ++turns) {
    if (turns > 1'000'000) std::abort();
    world->Turn();
    for (const auto& ask : std::exchange(world->logic.asks, {})) {
      const std::string number = std::to_string(ask.id() >> 32);
      const std::string key = "00000000-0000-4000-8000-" + std::string(12 - number.size(), '0');
      world->sessions->Answer(world->Welcome(ask, key + number, kRoom));
    }
  }
}

// 0 when there are too few to tell.
double BytesPerConnection(World* world, Clients* clients, std::uint32_t count) {
  clients->Connect(std::min(count, kFewClients));
  LetAllIn(world, clients);
  if (count <= kFewClients) return 0;
  const double before = HeapBytes();
  clients->Connect(count);
  LetAllIn(world, clients);
  return (HeapBytes() - before) / (count - kFewClients);
}

double AllocationsPerHeartbeat(World* world, Clients* clients, std::uint32_t count) {
  const auto before = allocations;
  clients->Heartbeat();
  LetAllIn(world, clients);
  return static_cast<double>(allocations - before) / count;
}

[[gnu::noinline]] void PushAll(World* world, std::string_view body, int pushes) {
  access("/pushes/begin", F_OK);
  for (int i = 0; i < pushes; ++i)
    world->PushRoom(kRoom, 1000, body);
  access("/pushes/end", F_OK);
}

int Run(std::uint32_t count, int pushes) {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  World world;
  Clients clients(world.tcp, world.ws);
  const double bytes = BytesPerConnection(&world, &clients, count);
  const double heartbeat = AllocationsPerHeartbeat(&world, &clients, count);
  const std::string body(50, 'x');
  auto& counts = world.sessions->connections().counts();
  world.PushRoom(kRoom, 1000, body);  // what grows once, grows now
  world.loop->Turn(0);
  const auto sends = counts.sends.value();
  const auto delivered = world.sessions->hub().counts().deliveries.value();
  const auto before = allocations;
  PushAll(&world, body, pushes);
  const auto pushed = allocations - before;
  world.loop->Turn(0);  // counters are published at the end of a turn
  const auto deliveries =
      static_cast<double>(world.sessions->hub().counts().deliveries.value() - delivered);
  std::printf(
      "{\"clients\": %u, \"pushes\": %d, \"deliveries\": %.0f, \"heap_bytes_per_connection\": "
      "%.1f, "
      "\"allocations_per_heartbeat\": %.3f, \"allocations_per_push\": %.2f, "
      "\"writes_per_delivery\": %.4f}\n",
      count, pushes, deliveries, bytes, heartbeat, static_cast<double>(pushed) / pushes,
      static_cast<double>(counts.sends.value() - sends) / deliveries);
  return 0;
}

}  // namespace
}  // namespace encke::gate

int main(int argc, char** argv) {
  const int clients = argc > 2 ? std::atoi(argv[1]) : 0;
  const int pushes = argc > 2 ? std::atoi(argv[2]) : 0;
  if (clients < 1 || pushes < 1) {
    std::fprintf(stderr, "usage: encke-gate CLIENTS PUSHES\n");
    return 2;
  }
  return encke::gate::Run(static_cast<std::uint32_t>(clients), pushes);
}

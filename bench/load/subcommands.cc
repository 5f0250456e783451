#include "load/subcommands.h"

#include <algorithm>

#include "load/run.h"

namespace encke::bench {
namespace {

void Connect(Run& run, const Options&) {
  run.Ramp("connect");
  run.Drop();
}

void Idle(Run& run, const Options&) {
  run.Ramp("connect");
  run.Hold("idle");
}

// One room, many rooms, and the HTTP door differ in their flags only.
void Rooms(Run& run, const Options& o) {
  const std::string route = o.route.empty() ? "room" : o.route;
  run.Ramp("connect");
  run.WarmUp(route);
  PushJob job = run.Job(route);
  run.Push("push", job);
}

void EachRoom(Run& run, const Options& o) {
  const std::string route = o.route.empty() ? "room" : o.route;
  run.Ramp("connect");
  run.WarmUp(route);
  PushJob job = run.Job(route);
  job.rate *= o.rooms;
  run.Push("push", job);
}

void PushUsers(Run& run, const Options& o) {
  run.Ramp("connect");
  run.WarmUp(o.route.empty() ? "mids" : o.route);
  for (const std::string route : {"mids", "keys"}) {
    if (!o.route.empty() && o.route != route) continue;
    PushJob job = run.Job(route);
    if (o.route.empty()) job.seconds /= 2;
    run.Push(route, job);
  }
}

void All(Run& run, const Options&) {
  run.Ramp("connect");
  run.WarmUp("all");
  run.Push("push", run.Job("all"));
}

void Storm(Run& run, const Options&) {
  run.Ramp("connect");
  run.Drop();
  run.Ramp("reconnect");
  run.Verify();
}

void ChurnThem(Run& run, const Options&) {
  run.Ramp("connect");
  run.Churn();
  run.Verify();
}

struct Subcommand {
  const char* name;
  void (*go)(Run&, const Options&);
};

constexpr Subcommand kSubcommands[] = {
    {"connect", Connect}, {"idle", Idle},       {"room", Rooms},
    {"rooms", EachRoom},  {"push", PushUsers},  {"all", All},
    {"storm", Storm},     {"churn", ChurnThem}, {"api", Rooms},
};

}  // namespace

std::string SubcommandNames() {
  std::string names;
  for (const auto& one : kSubcommands)
    names.append(one.name).append("|");
  return names + "member|pusher";
}

bool IsSubcommand(const std::string& name) {
  return name == "member" || name == "pusher" ||
         std::any_of(std::begin(kSubcommands), std::end(kSubcommands),
                     [&name](const Subcommand& one) { return name == one.name; });
}

int RunSubcommand(const std::string& name, const Options& options) {
  if (name == "member") return RunMember(options);
  if (name == "pusher") return RunPusher(options);
  Run run(name, options);
  for (const auto& one : kSubcommands) {
    if (name == one.name) one.go(run, options);
  }
  return run.Finish();
}

}  // namespace encke::bench

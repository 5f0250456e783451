#include "rpc/later.h"

#include <chrono>
#include <utility>

#include <grpcpp/alarm.h>

namespace encke::rpc {

namespace {

// The callback owns the alarm, since an alarm that is destroyed is cancelled; it lets go of
// everything when it has run, because gRPC keeps the callback as long as the alarm.
std::shared_ptr<grpc::Alarm> Start(Duration delay, std::function<void()> act) {
  using std::chrono::system_clock;
  auto alarm = std::make_shared<grpc::Alarm>();
  // gRPC rounds up to the next millisecond: "now" would be late, what is long past runs at once.
  const bool at_once = delay <= Duration(0);
  alarm->Set(at_once ? system_clock::time_point() : system_clock::now() + delay,
             [own = alarm, act = std::move(act)](bool expired) mutable {
               const auto last = std::move(own);
               const auto run = std::move(act);
               if (expired) run();
             });
  return alarm;
}

}  // namespace

void Later::Run(std::function<void()> act) { Start(Duration(0), std::move(act)); }

void Later::Run(Duration delay, std::function<void()> act) { Start(delay, std::move(act)); }

void Later::RunAfter(Duration delay, std::function<void()> act) {
  auto alarm = Start(delay, std::move(act));
  alarm_.With([&](auto& mine) { std::swap(mine, alarm); });
}

void Later::Cancel() {
  auto alarm = alarm_.With([](auto& mine) { return std::move(mine); });
  if (alarm != nullptr) alarm->Cancel();
}

}  // namespace encke::rpc

#pragma once
// Later: runs something on a gRPC thread, at once or after a while.
//
// Owner    whoever may want to cancel it; Run needs no owner.
// Thread   any.
// Limit    RunAfter: one can be cancelled; a new one forgets the older (which still runs).

#include <functional>
#include <memory>

#include "base/clock.h"
#include "base/threads.h"

namespace grpc {
class Alarm;
}

namespace encke::rpc {

class Later {
 public:
  static void Run(std::function<void()> act);
  static void Run(Duration delay, std::function<void()> act);
  void RunAfter(Duration delay, std::function<void()> act);
  void Cancel();  // `act` is dropped, unless it runs already

 private:
  Guarded<std::shared_ptr<grpc::Alarm>> alarm_;
};

}  // namespace encke::rpc

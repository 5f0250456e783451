#pragma once
// Router: which comets get a message, and the links to all of them.
//
//   kPush       the comet named by `server`
//   kRoom       every comet that has the room, or of which we do not know
//   kBroadcast  every comet; a speed is shared out by their connection counts
//
// Owner    main.
// Thread   any.  Route: one thread per partition; it waits while a comet's queue is full, at most
//          link.stuck_timeout for one comet.
// Limit    one link per comet in the registry.

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "api/registry.pb.h"

#include "base/threads.h"
#include "job/comet_link.h"
#include "job/outbox.h"
#include "job/stats.h"

namespace encke::job {

// The part of `speed` that each of these comets gets, by its connections; the sum is `speed`.  One
// is added to each count, so that a comet whose first client just came has a share, too.
std::vector<double> Shares(double speed, const std::vector<std::int64_t>& connections);

class Router {
 public:
  Router(std::string job, const LinkOptions& options, const LinkPorts& ports, Stats& stats);
  ~Router();  // Stop
  Router(const Router&) = delete;
  Router& operator=(const Router&) = delete;

  // All that live, from the registry.  One that is not among them but whose stream is up is alive
  // all the same, and stays until its stream goes (Tend).
  void SetComets(const std::vector<Instance>& comets);
  void Tend();  // now and then: lets go of those
  // Who answers for connection counts; before the first Route.
  void CountBy(std::function<std::vector<Instance>()> list);

  // False: `cancel` came true while it waited, and not every comet has it.
  bool Route(const SharedMessage& message, const std::atomic<bool>& cancel);
  // Waits until every comet has acknowledged what it was given of the partition, at most
  // link.stuck_timeout; then the rest is dropped and counted.  False: `cancel` came true.
  bool Settle(int partition, const std::atomic<bool>& cancel);
  void Forget(int partition);
  std::optional<std::uint64_t> Oldest(int partition) const;  // not yet acknowledged by somebody

  bool idle() const;  // nothing waits for anybody
  std::vector<LinkView> views() const;
  void Stop();  // closes all links and waits for their goodbyes

 private:
  using Link = std::shared_ptr<CometLink>;
  using Links = std::map<std::string, Link>;  // by comet id
  struct Target {
    Link link;
    double rate = 0;
  };

  struct Table {
    std::shared_ptr<const Links> links = std::make_shared<const Links>();
    std::set<std::string> unlisted;  // of them, those that are not in the registry
  };
  // Keep what it answers in a variable: a loop over *links() would walk a table already freed.
  std::shared_ptr<const Links> links() const;
  void Remove(Table& table, Links& now, std::vector<Link>* gone);
  std::vector<Target> ToServer(const Message& message) const;
  std::vector<Target> ToAll() const;
  std::vector<Target> ToAllPaced(int speed) const;

  const std::string job_;
  const LinkOptions options_;
  const LinkPorts ports_;
  Stats& stats_;
  std::function<std::vector<Instance>()> list_;
  std::atomic<bool> stopping_{false};
  Gate gate_;  // entered by every open stream
  Guarded<Table> table_;
  Pulse pause_;  // while a queue is full
};

}  // namespace encke::job

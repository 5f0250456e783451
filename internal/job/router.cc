#include "job/router.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/clock.h"
#include "base/log.h"

namespace encke::job {

namespace {

constexpr Duration kFullRetry{5};

}  // namespace

std::vector<double> Shares(double speed, const std::vector<std::int64_t>& connections) {
  std::vector<double> shares;
  double whole = 0;
  for (const std::int64_t count : connections) {
    shares.push_back(static_cast<double>(std::max<std::int64_t>(count, 0)) + 1);
    whole += shares.back();
  }
  for (double& share : shares)
    share *= speed / whole;
  return shares;
}

Router::Router(std::string job, const LinkOptions& options, const LinkPorts& ports, Stats& stats)
    : job_(std::move(job)),
      options_(options),
      ports_(ports),
      stats_(stats),
      links_(std::make_shared<const Links>()) {}

Router::~Router() { Stop(); }

void Router::CountBy(std::function<std::vector<Instance>()> list) { list_ = std::move(list); }

std::shared_ptr<const Router::Links> Router::links() const {
  return links_.With([](const auto& links) { return links; });
}

// ---- who is there -----------------------------------------------------------------------------

// Called by one thread at a time.  A new link is in the table before it is opened, so that nothing
// that is routed from now on can miss it.
void Router::SetComets(const std::vector<Instance>& comets) {
  const auto old = links();
  auto now = std::make_shared<Links>();
  std::vector<Link> fresh;
  for (const Instance& comet : comets) {
    if (comet.grpc().empty()) continue;
    Link& link = (*now)[comet.id()];
    if (const auto found = old->find(comet.id()); found != old->end()) {
      link = found->second;
      link->Move(comet.grpc());
      continue;
    }
    log::Info("comet.found comet={} grpc={}", comet.id(), comet.grpc());
    link = std::make_shared<CometLink>(CometLink::Names{comet.id(), comet.grpc(), job_}, options_,
                                       ports_, stats_, gate_);
    fresh.push_back(link);
  }
  links_.With([&](auto& links) { links = now; });
  for (const Link& link : fresh)
    link->Open();
  for (const auto& [id, link] : *old) {
    if (now->contains(id)) continue;
    log::Info("comet.gone comet={}", id);
    link->Close();
  }
}

// ---- what goes where --------------------------------------------------------------------------

bool Router::Route(const SharedMessage& message, const std::atomic<bool>& cancel) {
  std::vector<Target> targets;
  switch (message->kind) {
    case Kind::kPush:
      stats_.pushes.Add();
      targets = ToServer(*message);
      break;
    case Kind::kRoom:
      stats_.rooms.Add();
      targets = ToAll();  // each link knows its rooms
      break;
    case Kind::kBroadcast:
      stats_.broadcasts.Add();
      targets = message->speed > 0 ? ToAllPaced(message->speed) : ToAll();
      break;
  }
  // Nobody waits for a full queue of somebody else: the others get it first.
  for (;;) {
    std::erase_if(targets, [&](const Target& target) {
      return target.link->Offer(message, target.rate) != CometLink::Put::kFull;
    });
    if (targets.empty()) return true;
    if (cancel) return false;
    pause_.Wait(kFullRetry);
  }
}

std::vector<Router::Target> Router::ToServer(const Message& message) const {
  const auto now = links();
  const auto found = now->find(message.server);
  if (found != now->end()) return {{found->second, 0}};
  stats_.unroutable.Add();
  return {};
}

std::vector<Router::Target> Router::ToAll() const {
  std::vector<Target> targets;
  for (const auto& [id, link] : *links())
    targets.push_back({link, 0});
  return targets;
}

std::vector<Router::Target> Router::ToAllPaced(int speed) const {
  std::map<std::string, std::int64_t> counts;
  if (list_) {
    for (const Instance& comet : list_())
      counts[comet.id()] = comet.conn_count();
  }
  std::vector<Target> targets;
  std::vector<std::int64_t> connections;
  for (const auto& [id, link] : *links()) {
    targets.push_back({link, 0});
    connections.push_back(counts[id]);
  }
  const std::vector<double> shares = Shares(speed, connections);
  for (std::size_t i = 0; i < targets.size(); ++i)
    targets[i].rate = shares[i];
  return targets;
}

// ---- how far they are -------------------------------------------------------------------------

void Router::Forget(int partition) {
  for (const auto& [id, link] : *links())
    link->Forget(partition);
}

std::optional<std::uint64_t> Router::Oldest(int partition) const {
  std::optional<std::uint64_t> oldest;
  for (const auto& [id, link] : *links()) {
    const auto seq = link->Oldest(partition);
    if (seq && (!oldest || *seq < *oldest)) oldest = seq;
  }
  return oldest;
}

bool Router::idle() const {
  const auto all = links();
  return std::all_of(all->begin(), all->end(),
                     [](const auto& entry) { return entry.second->view().entries == 0; });
}

std::vector<LinkView> Router::views() const {
  std::vector<LinkView> views;
  for (const auto& [id, link] : *links())
    views.push_back(link->view());
  return views;
}

void Router::Stop() {
  SetComets({});
  pause_.Stop();
  gate_.CloseAndWait();
}

}  // namespace encke::job

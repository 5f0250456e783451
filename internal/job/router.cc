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
    : job_(std::move(job)), options_(options), ports_(ports), stats_(stats) {}

Router::~Router() { Stop(); }

void Router::CountBy(std::function<std::vector<Instance>()> list) { list_ = std::move(list); }

std::shared_ptr<const Router::Links> Router::links() const {
  return table_.With([](const Table& table) { return table.links; });
}

// ---- who is there -----------------------------------------------------------------------------

// A new link is in the table before it is opened, so that nothing that is routed from now on can
// miss it.
void Router::SetComets(const std::vector<Instance>& comets) {
  std::vector<Link> fresh;
  std::vector<Link> gone;
  table_.With([&](Table& table) {
    auto now = std::make_shared<Links>(*table.links);
    table.unlisted.clear();
    for (const auto& [id, link] : *now)
      table.unlisted.insert(id);
    for (const Instance& comet : comets) {
      if (comet.grpc().empty()) continue;
      table.unlisted.erase(comet.id());
      Link& link = (*now)[comet.id()];
      if (link) {
        link->Move(comet.grpc());
        continue;
      }
      log::Info("comet.found comet={} grpc={}", comet.id(), comet.grpc());
      link = std::make_shared<CometLink>(CometLink::Names{comet.id(), comet.grpc(), job_}, options_,
                                         ports_, stats_, gate_);
      fresh.push_back(link);
    }
    Remove(table, *now, &gone);
    table.links = now;
  });
  for (const Link& link : fresh)
    link->Open();
  for (const Link& link : gone)
    link->Close();
}

void Router::Tend() {
  std::vector<Link> gone;
  table_.With([&](Table& table) {
    if (table.unlisted.empty()) return;
    auto now = std::make_shared<Links>(*table.links);
    Remove(table, *now, &gone);
    table.links = now;
  });
  for (const Link& link : gone)
    link->Close();
}

void Router::Remove(Table& table, Links& now, std::vector<Link>* gone) {
  std::erase_if(table.unlisted, [&](const std::string& id) {
    const auto found = now.find(id);
    if (found->second->view().up && !stopping_) return false;
    log::Info("comet.gone comet={}", id);
    gone->push_back(found->second);
    now.erase(found);
    return true;
  });
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
  const auto now = links();
  for (const auto& [id, link] : *now)
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
  const auto now = links();
  for (const auto& [id, link] : *now) {
    targets.push_back({link, 0});
    connections.push_back(counts[id]);
  }
  const std::vector<double> shares = Shares(speed, connections);
  for (std::size_t i = 0; i < targets.size(); ++i)
    targets[i].rate = shares[i];
  return targets;
}

// ---- how far they are -------------------------------------------------------------------------

bool Router::Settle(int partition, const std::atomic<bool>& cancel) {
  const std::int64_t until_us = ports_.now_us() + options_.stuck_timeout.count() * 1000;
  while (Oldest(partition)) {
    if (cancel) return false;
    if (ports_.now_us() >= until_us) break;
    pause_.Wait(kFullRetry);
  }
  Forget(partition);
  return true;
}

void Router::Forget(int partition) {
  const auto now = links();
  for (const auto& [id, link] : *now)
    link->Forget(partition);
}

std::optional<std::uint64_t> Router::Oldest(int partition) const {
  std::optional<std::uint64_t> oldest;
  const auto now = links();
  for (const auto& [id, link] : *now) {
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
  const auto now = links();
  for (const auto& [id, link] : *now)
    views.push_back(link->view());
  return views;
}

void Router::Stop() {
  stopping_ = true;
  SetComets({});
  pause_.Stop();
  gate_.CloseAndWait();
}

}  // namespace encke::job

#include "presence/nodes.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

#include <arpa/inet.h>

#include "base/threads.h"

namespace encke::presence {

namespace {

constexpr std::size_t kNodesMax = 5;
constexpr std::int64_t kRefreshMs = 1000;
constexpr std::int64_t kWeightMin = 1;
constexpr std::int64_t kWeightMax = 1 << 20;

}  // namespace

// ---- RegionTable ------------------------------------------------------------------------------

bool RegionTable::ParseAddress(std::string_view text, Bytes* out, bool* v4) {
  const std::string copy(text);
  out->fill(0);
  *v4 = inet_pton(AF_INET, copy.c_str(), out->data() + 12) == 1;
  if (*v4) {
    (*out)[10] = (*out)[11] = 0xff;
    return true;
  }
  return inet_pton(AF_INET6, copy.c_str(), out->data()) == 1;
}

Result<RegionTable::Block> RegionTable::ParseBlock(const std::string& text,
                                                   const std::string& region) {
  const auto slash = text.find('/');
  Block block{{}, 0, region};
  bool v4 = false;
  if (!ParseAddress(std::string_view(text).substr(0, slash), &block.bytes, &v4)) {
    return Error{Errc::kInvalid, "regions." + region + ": " + text + " is not an address block"};
  }
  const int most = v4 ? 32 : 128;
  int bits = most;
  if (slash != std::string::npos) {
    const char* begin = text.data() + slash + 1;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(begin, end, bits);
    if (error != std::errc() || stop != end || bits < 0 || bits > most) {
      return Error{Errc::kInvalid, "regions." + region + ": " + text + " has a wrong length"};
    }
  }
  block.bits = bits + (v4 ? 96 : 0);
  return block;
}

Result<RegionTable> RegionTable::Make(
    const std::map<std::string, std::vector<std::string>>& regions) {
  RegionTable table;
  for (const auto& [region, blocks] : regions) {
    for (const std::string& text : blocks) {
      Result<Block> block = ParseBlock(text, region);
      if (!block) return block.error();
      table.blocks_.push_back(std::move(*block));
    }
  }
  std::stable_sort(table.blocks_.begin(), table.blocks_.end(),
                   [](const Block& a, const Block& b) { return a.bits > b.bits; });
  return table;
}

std::string RegionTable::Find(std::string_view ip) const {
  Bytes bytes;
  bool v4 = false;
  if (blocks_.empty() || !ParseAddress(ip, &bytes, &v4)) return "";
  for (const Block& block : blocks_) {
    const auto whole = static_cast<std::size_t>(block.bits / 8);
    const int rest = block.bits % 8;
    if (std::memcmp(block.bytes.data(), bytes.data(), whole) != 0) continue;
    if (rest == 0 || (block.bytes[whole] ^ bytes[whole]) >> (8 - rest) == 0) return block.region;
  }
  return "";
}

// ---- Balancer ---------------------------------------------------------------------------------

void Balancer::Update(const std::vector<Instance>& comets, std::int64_t now_ms) {
  std::vector<Node> fresh;
  for (const Instance& comet : comets) {
    if (comet.offline()) continue;
    const auto old = std::find_if(nodes_.begin(), nodes_.end(), [&](const Node& node) {
      return node.instance.id() == comet.id() && node.instance.updated_ns() == comet.updated_ns();
    });
    fresh.push_back({comet, old == nodes_.end() ? comet.conn_count() : old->connections, 0});
  }
  if (fresh.empty()) return;
  if (fresh.size() * 2 < nodes_.size()) {
    if (doubted_since_ms_ == 0) doubted_since_ms_ = now_ms;
    if (now_ms - doubted_since_ms_ < kDoubt.count()) return;
  }
  doubted_since_ms_ = 0;
  nodes_ = std::move(fresh);
  total_weight_ = total_connections_ = 0;
  for (const Node& node : nodes_) {
    total_weight_ += node.instance.weight();
    total_connections_ += node.connections;
  }
}

// The share of the weight against half the share of the connections, in connections.
std::int64_t Balancer::WeightOf(const Node& node, double gain) const {
  if (total_connections_ <= 0) return 0;
  const auto all = static_cast<double>(total_connections_);
  const double fixed = static_cast<double>(node.instance.weight()) * gain;
  const std::int64_t total =
      total_weight_ + static_cast<std::int64_t>(fixed) - node.instance.weight();
  if (total <= 0) return 0;
  const double ratio =
      fixed / static_cast<double>(total) - 0.5 * static_cast<double>(node.connections) / all;
  const double multiple = ratio * all;
  const double low = std::floor(multiple);
  const double rounded = multiple - low <= 0.5 ? low : std::ceil(multiple);  // halves go down
  const double exact = std::clamp(fixed + rounded, -1e15, 1e15);
  const auto weight = static_cast<std::int64_t>(exact);
  return ratio < 0 ? std::max(kWeightMin, weight) : std::min(kWeightMax, weight);
}

std::vector<Instance> Balancer::Pick(const std::string& region, std::size_t limit) {
  for (Node& node : nodes_)
    node.weight = WeightOf(node, node.instance.region() == region ? region_gain_ : 1.0);
  std::stable_sort(nodes_.begin(), nodes_.end(),
                   [](const Node& a, const Node& b) { return a.weight > b.weight; });
  std::vector<Instance> best;
  for (std::size_t i = 0; i < std::min(limit, nodes_.size()); ++i)
    best.push_back(nodes_[i].instance);
  if (!nodes_.empty()) {
    ++nodes_.front().connections;
    ++total_connections_;
  }
  return best;
}

// ---- Nodes ------------------------------------------------------------------------------------

std::vector<std::string> AddressesOf(const std::vector<Instance>& comets,
                                     std::string_view platform,
                                     const NodesOptions& options) {
  std::vector<std::string> addresses;
  for (const Instance& comet : comets) {
    if (platform == "web") {
      addresses.push_back(comet.id() + options.host_domain);
    } else {
      addresses.insert(addresses.end(), comet.addrs().begin(), comet.addrs().end());
    }
  }
  if (addresses.empty()) addresses.push_back(options.default_domain);
  return addresses;
}

class Nodes::Impl {
 public:
  Impl(bus::Registry& registry, const NodesOptions& options, RegionTable regions)
      : registry_(registry),
        options_(options),
        regions_(std::move(regions)),
        state_(State{Balancer(options.region_weight), -kRefreshMs}) {}

  std::vector<Instance> Pick(std::string_view client_ip) {
    const std::string region = regions_.Find(client_ip);
    const std::int64_t now_ms = MonotonicMs();
    return state_.With([&](State& state) {
      if (now_ms - state.refreshed_ms >= kRefreshMs) {
        state.refreshed_ms = now_ms;
        state.balancer.Update(registry_.List("comet"), now_ms);
      }
      return state.balancer.Pick(region, kNodesMax);
    });
  }

  std::vector<Instance> Instances() const {
    std::vector<Instance> comets = registry_.List("comet");
    std::erase_if(comets, [](const Instance& comet) { return comet.offline(); });
    return comets;
  }
  const NodesOptions& options() const { return options_; }

 private:
  struct State {
    Balancer balancer;
    std::int64_t refreshed_ms;
  };
  bus::Registry& registry_;
  const NodesOptions options_;
  const RegionTable regions_;
  Guarded<State> state_;
};

Result<std::unique_ptr<Nodes>> Nodes::Make(bus::Registry& registry, const NodesOptions& options) {
  Result<RegionTable> regions = RegionTable::Make(options.regions);
  if (!regions) return regions.error();
  std::unique_ptr<Nodes> nodes(new Nodes);
  nodes->impl_ = std::make_unique<Impl>(registry, options, std::move(*regions));
  return nodes;
}

Nodes::Nodes() = default;
Nodes::~Nodes() = default;

std::vector<std::string> Nodes::Weighted(std::string_view platform, std::string_view client_ip) {
  return AddressesOf(impl_->Pick(client_ip), platform, impl_->options());
}

std::vector<Instance> Nodes::Instances() const { return impl_->Instances(); }
const NodesOptions& Nodes::options() const { return impl_->options(); }

}  // namespace encke::presence

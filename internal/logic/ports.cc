// How HttpApi meets the real parts.  Apart from it, so that its tests need none of them.

#include <algorithm>
#include <set>
#include <utility>

#include "base/log.h"
#include "logic/http_api.h"
#include "logic/wiring.h"
#include "native/write.h"
#include "presence/presence.h"
#include "push/relay.h"

namespace encke::logic {

constexpr Duration kCometPatience{2000};  // for a page of members

HttpPorts HttpPorts::Of(push::Relay& relay, presence::Presence& presence, presence::Nodes& nodes) {
  HttpPorts ports;
  ports.push_keys = [&relay](auto op, auto keys, auto body, auto done) {
    relay.PushKeys(op, std::move(keys), std::move(body), std::move(done));
  };
  ports.push_mids = [&relay](auto op, const auto& mids, auto body, auto done) {
    relay.PushMids(op, mids, std::move(body), std::move(done));
  };
  ports.push_room = [&relay](auto op, const auto& room, auto body, auto done) {
    relay.PushRoom(op, room, std::move(body), std::move(done));
  };
  ports.push_all = [&relay](auto op, auto speed, auto body, auto done) {
    relay.PushAll(op, speed, std::move(body), std::move(done));
  };
  ports.top = [&presence](auto prefix, auto limit) { return presence.Top(prefix, limit); };
  ports.count_of = [&presence](auto room) { return presence.CountOf(room); };
  ports.totals = [&presence] { return presence.Totals(); };
  ports.weighted = [&nodes](auto platform, auto ip) { return nodes.Weighted(platform, ip); };
  ports.instances = [&nodes] { return nodes.Instances(); };
  ports.nodes = nodes.options();
  return ports;
}

native::NativePorts NativePortsOf(push::Relay& relay,
                                  presence::Presence& presence,
                                  presence::Members& members,
                                  store::Reports& reports,
                                  timeline::History& history) {
  native::NativePorts ports;
  ports.accept = [&relay](auto push, auto done) { relay.Accept(std::move(push), std::move(done)); };
  ports.accept_all = [&relay](auto pushes, const auto& done) {
    relay.AcceptAll(std::move(pushes), done);
  };
  ports.find_mids = [&presence](const auto& mids, auto done) {
    presence.FindMids(mids, std::move(done));
  };
  ports.count_of = [&presence](auto room) { return presence.CountOf(room); };
  ports.members = [&members](const auto& room, const auto& after, auto limit, auto done) {
    members.Read(room, after, limit, std::move(done));
  };
  ports.report = [&reports](const auto& id, auto done) { reports.Read(id, std::move(done)); };
  ports.history = [&history](const auto& query, auto done) { history.Page(query, done); };
  ports.purge = [&history](const auto& name, auto upto, auto done) {
    history.Purge(name, upto, done);
  };
  return ports;
}

presence::MembersPorts MembersOn(const bus::Registry& registry, rpc::RollClient& comets) {
  presence::MembersPorts ports;
  ports.comets = [&registry, &comets]() -> Result<std::vector<Instance>> {
    if (!registry.synced()) return Error{Errc::kUnavailable, "the registry was not read yet"};
    std::vector<Instance> live = registry.List("comet");
    std::set<std::string> addresses;
    for (const Instance& comet : live)
      addresses.insert(comet.grpc());
    comets.Keep(addresses);
    return live;
  };
  ports.ask = [&comets](const auto& address, const auto& ask, auto done) {
    comets.Ask(address, ask, kCometPatience, std::move(done));
  };
  return ports;
}

namespace {

bus::HistoryLog::Place PlaceIn(const std::string& name, std::uint64_t epoch, std::uint64_t seq) {
  const std::string type(timeline::TypeOf(name));
  return {type, name.substr(type.size() + std::string_view("://").size()), epoch, seq};
}

}  // namespace

Status EnsureHistories(const timeline::TimelinePlan& plan, const bus::HistoryLog& log) {
  const auto ensure = [&log](const std::string& type, const timeline::KeptOptions& kept) {
    if (!kept.durable) return Status(Ok{});
    return log.Ensure({type, kept.durable->age, kept.durable->bytes, kept.durable->replicas});
  };
  for (const auto& [type, kept] : plan.types)
    if (auto made = ensure(type, kept); !made) return made;
  return ensure("user", plan.inbox);
}

timeline::ArchivePorts ArchiveIn(bus::HistoryLog& log) {
  timeline::ArchivePorts ports;
  ports.read = [&log](const auto& name, auto epoch, auto seq) {
    return log.ReadBlock(PlaceIn(name, epoch, seq));
  };
  ports.newest = [&log](const auto& name, auto scope, auto epoch, auto seq) {
    using From = timeline::ArchivePorts::Scope;
    using Scope = bus::HistoryLog::Scope;
    const Scope wide = scope == From::kAll     ? Scope::kAll
                       : scope == From::kEpoch ? Scope::kEpoch
                                               : Scope::kBlock;
    return log.Newest(PlaceIn(name, epoch, seq), wide);
  };
  ports.oldest = [&log](const auto& name, auto epoch) {
    return log.Oldest(PlaceIn(name, epoch, 0));
  };
  ports.purge = [&log](const auto& name, auto epoch, auto seq) {
    return log.Purge(PlaceIn(name, epoch, seq));
  };
  return ports;
}

push::RelayPorts WithArchive(push::RelayPorts ports, bus::HistoryLog& log) {
  ports.archive = [&log](const push::Place& place, auto payload, auto done) {
    log.Put(PlaceIn(place.timeline, place.epoch, place.seq), std::move(payload), std::move(done));
  };
  return ports;
}

namespace {

// A type is a client's word; blanks and dots would make another subject of it.
bool Plain(std::string_view type) {
  return !type.empty() && std::all_of(type.begin(), type.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
}

void TellNats(const Backends& to, std::string_view type, const std::string& payload) {
  static log::RateLimit lines;
  const std::string last(Plain(type) ? type : "other");
  const Status told = to.nats.Tell(to.config.upstream_subject + "." + last, payload);
  if (!told) log::WarnSome(lines, "upstream.not_told why=\"{}\"", told.error().text);
}

bool Hooked(const Backends& to, std::string_view type) {
  const auto& types = to.config.webhook_types;
  return to.hook.on() && std::any_of(types.begin(), types.end(), [type](const std::string& one) {
           return one == "*" || one == type;
         });
}

}  // namespace

void Backends::Tell(std::string_view type, const PushMsg& push) const {
  if (!config.upstream_subject.empty()) TellNats(*this, type, push.SerializeAsString());
  if (Hooked(*this, type)) hook.Put(native::EventText(type, push));
}

void Backends::Hear(const Upstream& package) const {
  if (!config.upstream_raw) return;
  if (!config.upstream_subject.empty()) TellNats(*this, "raw", package.SerializeAsString());
  if (Hooked(*this, "raw")) hook.Put(native::EventText(package));
}

}  // namespace encke::logic

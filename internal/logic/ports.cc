// How HttpApi meets the real parts.  Apart from it, so that its tests need none of them.

#include <utility>

#include "logic/http_api.h"
#include "presence/presence.h"
#include "push/relay.h"

namespace encke::logic {

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
  ports.report = [&reports](const auto& id, auto done) { reports.Read(id, std::move(done)); };
  ports.history = [&history](const auto& query, auto done) { history.Page(query, done); };
  ports.purge = [&history](const auto& name, auto upto, auto done) {
    history.Purge(name, upto, done);
  };
  return ports;
}

}  // namespace encke::logic

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

}  // namespace encke::logic

// Relay's four calls in goim's words.
#include <utility>

#include "push/relay.h"

namespace encke::push {
namespace {

Push Saying(To to, std::int32_t op, std::string body) {
  Push push;
  push.to = to;
  push.op = op;
  push.body = std::move(body);
  return push;
}

OnAccepted Only(Relay::OnStored done) {
  return [done = std::move(done)](const Result<Accepted>& accepted) {
    done(accepted ? Status(Ok{}) : Status(accepted.error()));
  };
}

}  // namespace

void Relay::PushKeys(std::int32_t op, std::vector<Key> keys, std::string body, OnStored done) {
  Push push = Saying(To::kKeys, op, std::move(body));
  push.keys = std::move(keys);
  Accept(std::move(push), Only(std::move(done)));
}

void Relay::PushMids(std::int32_t op,
                     const std::vector<Mid>& mids,
                     std::string body,
                     OnStored done) {
  Push push = Saying(To::kMids, op, std::move(body));
  push.mids = mids;
  Accept(std::move(push), Only(std::move(done)));
}

void Relay::PushRoom(std::int32_t op, const RoomId& room, std::string body, OnStored done) {
  Push push = Saying(To::kRooms, op, std::move(body));
  push.rooms = {room};
  Accept(std::move(push), Only(std::move(done)));
}

void Relay::PushAll(std::int32_t op, std::int32_t speed, std::string body, OnStored done) {
  Push push = Saying(To::kAll, op, std::move(body));
  push.speed = speed;
  Accept(std::move(push), Only(std::move(done)));
}

}  // namespace encke::push

#include "push/client_publisher.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "timeline/plan.h"

namespace encke::push {

namespace {

constexpr std::size_t kClientIdBytesMax = 128;

// The same for every repeat; fits a header whatever the client chose.
std::string PushIdOf(const Request& request) {
  const Publish& ask = request.publish();
  if (ask.client_id().empty()) return NewUuid();
  const std::string who = request.mid() > 0 ? std::to_string(request.mid()) : request.key();
  return fmt::format("c{}-{:016x}", std::max<std::int64_t>(request.mid(), 0),
                     Fnv1a(who + "\n" + ask.room() + "\n" + ask.client_id()));
}

Push PushOf(const Request& request) {
  const Publish& ask = request.publish();
  Push push;
  push.to = ask.room().empty() ? To::kMids : To::kRooms;
  if (ask.room().empty()) {
    push.mids = {Mid(ask.to_mid())};
    push.keep = true;
  } else {
    push.rooms = {RoomId(ask.room())};
  }
  push.op = ask.op();
  push.body = ask.body();
  push.id = PushIdOf(request);
  push.again = !ask.client_id().empty();
  push.from_mid = request.mid();
  push.client_id = ask.client_id();
  return push;
}

Reply Answered(const Accepted& accepted) {
  Reply reply;
  Published* out = reply.mutable_published();
  out->set_push_id(accepted.id);
  out->set_time_us(accepted.time_us);
  if (!accepted.places.empty()) {
    out->set_epoch(accepted.places[0].epoch);
    out->set_seq(accepted.places[0].seq);
  }
  return reply;
}

}  // namespace

ClientPublisher::ClientPublisher(ClientPublishOptions options, Accept accept, Tell tell)
    : options_(std::move(options)), accept_(std::move(accept)), tell_(std::move(tell)) {}

void ClientPublisher::TellBackends(const Request& request, const Accepted& accepted) const {
  if (!tell_) return;
  const Publish& ask = request.publish();
  PushMsg push;
  push.set_type(ask.room().empty() ? PushMsg::PUSH : PushMsg::ROOM);
  push.set_operation(ask.op());
  push.set_room(ask.room());
  push.set_mid(ask.to_mid());
  push.set_msg(ask.body());
  push.set_id(accepted.id);
  push.set_accepted_us(accepted.time_us);
  push.set_from_mid(request.mid());
  push.set_client_id(ask.client_id());
  if (!accepted.places.empty()) {
    push.set_epoch(accepted.places[0].epoch);
    push.set_seq(accepted.places[0].seq);
  }
  tell_(ask.room().empty() ? "user" : timeline::TypeOf(ask.room()), push);
}

// Empty: nothing against it.
std::string ClientPublisher::WhyNot(const Request& request) const {
  const Publish& ask = request.publish();
  if (ask.room().empty() == (ask.to_mid() == 0)) return "room: say either a room or a user";
  if (ask.room().empty()) {
    if (ask.to_mid() < 0) return "to_mid: must be above 0";
    if (!options_.users) return "to_mid: clients may not write to users here";
  } else {
    const std::string_view why = timeline::WhyNoRoom(ask.room());
    if (!why.empty()) return "room: " + std::string(why);
    const bool open = std::any_of(options_.types.begin(), options_.types.end(), [&](const auto& t) {
      return t == "*" || t == timeline::TypeOf(ask.room());
    });
    if (!open) return "room: clients may not write to rooms of this type";
  }
  if (ask.op() < options_.op_min || ask.op() > options_.op_max) {
    return fmt::format("op: must be from {} to {}", options_.op_min, options_.op_max);
  }
  if (ask.body().size() > options_.body_bytes_max) {
    return fmt::format("body: is longer than {} bytes", options_.body_bytes_max);
  }
  if (ask.client_id().size() > kClientIdBytesMax) return "client_id: is longer than 128 bytes";
  return "";
}

void ClientPublisher::Ask(const Request& request, const Answer& done) {
  if (std::string why = WhyNot(request); !why.empty()) {
    counts_.refused.Add();
    Reply reply;
    reply.set_error(std::move(why));
    return done(std::move(reply));
  }
  Push push = PushOf(request);
  const bool wait = request.publish().stored();
  const Accepted begun{.id = push.id, .time_us = WallUs(), .places = {}, .unrouted = 0};
  accept_(std::move(push), [this, done, wait, request](const Result<Accepted>& accepted) {
    (accepted ? counts_.accepted : counts_.failed).Add();
    if (accepted) TellBackends(request, *accepted);
    if (!wait) return;
    if (accepted) return done(Answered(*accepted));
    Reply reply;
    reply.set_error(accepted.error().text);
    reply.set_retry(true);
    done(std::move(reply));
  });
  if (!wait) done(Answered(begun));
}

}  // namespace encke::push

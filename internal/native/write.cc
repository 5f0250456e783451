#include "native/write.h"

namespace encke::native {

namespace {

// Text when it is text, else base64.
void PutBody(Json& out, const std::string& body) {
  if (ValidUtf8(body)) {
    out["body"] = body;
  } else {
    out["body_base64"] = Base64(body);
  }
}

// Whatever is no UTF-8 is replaced.
std::string Text(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json EntryJson(const store::TimelineEntry& entry) {
  Json out = {{"seq", entry.seq}, {"time_ms", entry.time_ms}, {"id", entry.id}};
  PushMsg push;
  if (!push.ParseFromString(entry.payload)) return out;
  out["op"] = push.operation();
  PutBody(out, push.msg());
  if (push.from_mid() != 0) out["from_mid"] = push.from_mid();
  if (!push.client_id().empty()) out["client_id"] = push.client_id();
  if (push.expires_us() != 0) out["expires_ms"] = push.expires_us() / 1000;
  return out;
}

}  // namespace

web::HttpReply JsonReply(int status, const Json& json) {
  web::HttpReply reply;
  reply.status = status;
  reply.body = Text(json);
  return reply;
}

Json FaultJson(const Fault& fault) {
  return {{"error", {{"field", fault.field}, {"message", fault.text}}}};
}

Fault NoReport() { return {"id", "no report of it: it did not ask for one, or is long ago"}; }

int StatusOf(Errc code) {
  switch (code) {
    case Errc::kInvalid:
      return 500;  // what a caller can do wrong was looked at before
    case Errc::kNotFound:
      return 404;
    case Errc::kUnavailable:
    case Errc::kTimeout:
    case Errc::kClosed:
    case Errc::kOverloaded:
    case Errc::kConflict:
      break;
  }
  return 503;
}

Json ErrorJson(const Error& error) {
  Json out = {{"error", {{"message", error.text}}}};
  if (StatusOf(error.code) == 503) out["error"]["retry"] = true;
  return out;
}

std::string EventText(std::string_view type, const PushMsg& push) {
  Json out = {{"type", type},
              {"id", push.id()},
              {"time_us", push.accepted_us()},
              {"from_mid", push.from_mid()},
              {"op", push.operation()}};
  if (push.room().empty()) {
    out["to_mid"] = push.mid();
  } else {
    out["room"] = push.room();
  }
  PutBody(out, push.msg());
  if (!push.client_id().empty()) out["client_id"] = push.client_id();
  if (push.seq() != 0) {
    out["epoch"] = push.epoch();
    out["seq"] = push.seq();
  }
  return Text(out);
}

std::string EventText(const Upstream& package) {
  Json out = {{"type", "raw"},
              {"from_mid", package.mid()},
              {"from_key", package.key()},
              {"room", package.room()},
              {"op", package.op()},
              {"header_seq", package.seq()},
              {"header_ver", package.ver()}};
  PutBody(out, package.body());
  return Text(out);
}

Json AcceptedJson(const push::Accepted& accepted) {
  Json out = {{"id", accepted.id},
              {"time_us", accepted.time_us},
              {"duplicate", accepted.duplicate},
              {"unrouted", accepted.unrouted},
              {"timelines", Json::array()}};
  for (const push::Place& place : accepted.places) {
    out["timelines"].push_back(
        {{"timeline", place.timeline}, {"epoch", place.epoch}, {"seq", place.seq}});
  }
  return out;
}

Json UserJson(std::int64_t mid, const std::vector<store::Place>& places) {
  Json out = {{"mid", mid}, {"online", false}, {"connections", Json::array()}};
  for (const store::Place& place : places) {
    if (place.server.value().empty()) continue;
    out["online"] = true;
    out["connections"].push_back({{"key", place.key.value()}, {"comet", place.server.value()}});
  }
  return out;
}

Json MembersJson(const std::string& room, const presence::MemberPage& page) {
  Json out = {{"room", room}, {"members", Json::array()}, {"more", page.more}};
  for (const presence::MemberPage::One& one : page.members)
    out["members"].push_back({{"key", one.key}, {"mid", one.mid}, {"comet", one.comet}});
  return out;
}

Json PageJson(const std::string& timeline, const store::TimelinePage& page) {
  Json out = {{"timeline", timeline},       {"epoch", page.head.epoch},
              {"newest", page.head.newest}, {"oldest", page.head.oldest},
              {"more", page.more},          {"pushes", Json::array()}};
  for (const store::TimelineEntry& entry : page.entries)
    out["pushes"].push_back(EntryJson(entry));
  return out;
}

}  // namespace encke::native

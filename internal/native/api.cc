#include "native/api.h"

#include <charconv>
#include <optional>
#include <utility>

#include "native/gather.h"
#include "native/write.h"
#include "web/http_message.h"

namespace encke::native {

namespace {

using web::HttpRequest;

constexpr std::string_view kRoot = "/v1/";

// "/v1/rooms/{room}/online" against a path as sent; false: another one.
bool Match(std::string_view pattern, std::string_view path, std::vector<std::string>* segments) {
  segments->clear();
  while (true) {
    const auto want = pattern.substr(0, pattern.find('/'));
    const auto have = path.substr(0, path.find('/'));
    if (want.starts_with('{')) {
      auto decoded = web::DecodePath(have);
      if (!decoded || decoded->empty()) return false;
      segments->push_back(std::move(*decoded));
    } else if (want != have) {
      return false;
    }
    const bool ends = want.size() == pattern.size();
    if (ends != (have.size() == path.size())) return false;
    if (ends) return true;
    pattern.remove_prefix(want.size() + 1);
    path.remove_prefix(have.size() + 1);
  }
}

bool IsJson(std::string_view type) {
  return type.substr(0, type.find(';')).find("json") != std::string_view::npos;
}

}  // namespace

const std::vector<NativeApi::Row>& NativeApi::Rows() {
  static const std::vector<Row> rows = {
      {"POST", "pushes", &NativeApi::PostPush},
      {"POST", "pushes:batch", &NativeApi::PostBatch},
      {"GET", "pushes/{id}", &NativeApi::GetPush},
      {"GET", "rooms/{room}/online", &NativeApi::GetOnline},
      {"GET", "rooms/{room}/members", &NativeApi::GetMembers},
      {"POST", "rooms/join", &NativeApi::PostJoin},
      {"POST", "rooms/leave", &NativeApi::PostLeave},
      {"GET", "users/{mid}", &NativeApi::GetUser},
      {"POST", "kick", &NativeApi::PostKick},
      {"GET", "history", &NativeApi::GetHistory},
      {"DELETE", "history", &NativeApi::DeleteHistory},
  };
  return rows;
}

NativeApi::NativeApi(web::HttpServer& http, NativePorts ports, const auth::ApiKeys& keys)
    : ports_(std::move(ports)), keys_(keys) {
  http.RouteBelow(std::string(kRoot), [this](HttpRequest&& request, const Responder& responder) {
    Handle(std::move(request), responder);
  });
}

void NativeApi::Handle(HttpRequest&& request, const Responder& responder) {
  counts_.requests.Add();
  if (!keys_.Allow(request.authorization, request.api_key)) {
    counts_.unauthorized.Add();
    return responder.Send(JsonReply(401, FaultJson({"", "show an API key"})));
  }
  // The first letters may be written with escapes as well.
  const std::string path = request.path.starts_with(kRoot) ? request.path.substr(kRoot.size()) : "";
  std::string allowed;
  for (const Row& row : Rows()) {
    Call call;
    if (!Match(row.path, path, &call.segments)) continue;
    if (row.method == request.method) {
      call.request = std::move(request);
      return (this->*row.handler)(std::move(call), responder);
    }
    allowed += (allowed.empty() ? "" : ", ") + std::string(row.method);
  }
  if (allowed.empty()) return Refuse(404, {"", "there is no such path"}, responder);
  counts_.refused.Add();
  web::HttpReply reply = JsonReply(405, FaultJson({"", "the method is not one of: " + allowed}));
  reply.headers.emplace_back("Allow", allowed);
  responder.Send(std::move(reply));
}

void NativeApi::Refuse(int status, const Fault& fault, const Responder& responder) {
  counts_.refused.Add();
  responder.Send(JsonReply(status, FaultJson(fault)));
}

void NativeApi::Fail(const Error& error, const Responder& responder) {
  (error.code == Errc::kNotFound ? counts_.refused : counts_.failed).Add();
  responder.Send(JsonReply(StatusOf(error.code), ErrorJson(error)));
}

// ---- pushes -----------------------------------------------------------------------------------

void NativeApi::PostPush(Call&& call, const Responder& responder) {
  const bool json = IsJson(call.request.content_type);
  Result<Json> object =
      json ? ParseObject(call.request.body) : Result<Json>(ObjectOf(call.request.query));
  if (!object) return Refuse(400, {"", object.error().text}, responder);
  if (json && !call.request.query.empty()) {
    return Refuse(400, {"", "a JSON body goes without a query"}, responder);
  }
  auto push = ReadPush(*object, "", json ? nullptr : &call.request.body);
  if (const auto* fault = std::get_if<Fault>(&push)) return Refuse(400, *fault, responder);
  ports_.accept(std::move(std::get<push::Push>(push)),
                [this, responder](const Result<push::Accepted>& accepted) {
                  if (!accepted) return Fail(accepted.error(), responder);
                  responder.Send(JsonReply(200, AcceptedJson(*accepted)));
                });
}

// All are read before the first is accepted, so that a mistake leaves nothing half done.
void NativeApi::PostBatch(Call&& call, const Responder& responder) {
  const Result<Json> object = ParseObject(call.request.body);
  if (!object) return Refuse(400, {"", object.error().text}, responder);
  auto read = ReadBatch(*object);
  if (const auto* fault = std::get_if<Fault>(&read)) return Refuse(400, *fault, responder);
  auto& pushes = std::get<std::vector<push::Push>>(read);
  const auto gather =
      std::make_shared<Gather<Json>>(pushes.size(), [responder](std::vector<Json> results) {
        responder.Send(JsonReply(200, {{"results", std::move(results)}}));
      });
  ports_.accept_all(
      std::move(pushes), [this, gather](std::size_t i, const Result<push::Accepted>& accepted) {
        if (!accepted) counts_.failed.Add();
        gather->Put(i, accepted ? AcceptedJson(*accepted) : ErrorJson(accepted.error()));
      });
}

void NativeApi::GetPush(Call&& call, const Responder& responder) {
  ports_.report(call.segments[0], [this, responder, id = call.segments[0]](const auto& sums) {
    if (!sums) return Fail(sums.error(), responder);
    if (sums->empty()) return Refuse(404, NoReport(), responder);
    Json counts = Json::object();
    for (const auto& [name, count] : *sums)
      counts[name] = count;
    responder.Send(JsonReply(200, {{"id", id}, {"counts", std::move(counts)}}));
  });
}

// ---- commands ---------------------------------------------------------------------------------

void NativeApi::Command(const Call& call, ReadOne read, const Responder& responder) {
  const Result<Json> object = ParseObject(call.request.body);
  if (!object) return Refuse(400, {"", object.error().text}, responder);
  auto push = read(*object);
  if (const auto* fault = std::get_if<Fault>(&push)) return Refuse(400, *fault, responder);
  ports_.accept(std::move(std::get<push::Push>(push)), [this, responder](
                                                           const Result<push::Accepted>& accepted) {
    if (!accepted) return Fail(accepted.error(), responder);
    responder.Send(JsonReply(200, {{"id", accepted->id}, {"unrouted", accepted->unrouted}}));
  });
}

void NativeApi::PostKick(Call&& call, const Responder& responder) {
  Command(call, &ReadKick, responder);
}

void NativeApi::PostJoin(Call&& call, const Responder& responder) {
  Command(
      call, [](const Json& json) { return ReadMove(json, push::What::kJoin); }, responder);
}

void NativeApi::PostLeave(Call&& call, const Responder& responder) {
  Command(
      call, [](const Json& json) { return ReadMove(json, push::What::kLeave); }, responder);
}

// ---- who is there -----------------------------------------------------------------------------

void NativeApi::GetOnline(Call&& call, const Responder& responder) {
  const std::string& room = call.segments[0];
  const std::string_view why = timeline::WhyNoRoom(room);
  if (!why.empty()) return Refuse(400, {"room", std::string(why)}, responder);
  responder.Send(JsonReply(200, {{"room", room}, {"online", ports_.count_of(room)}}));
}

void NativeApi::GetMembers(Call&& call, const Responder& responder) {
  const std::string& room = call.segments[0];
  const std::string_view why = timeline::WhyNoRoom(room);
  if (!why.empty()) return Refuse(400, {"room", std::string(why)}, responder);
  const auto query = ReadMembers(call.request.query);
  if (const auto* fault = std::get_if<Fault>(&query)) return Refuse(400, *fault, responder);
  const auto& ask = std::get<MembersQuery>(query);
  ports_.members(room, ask.after, ask.limit, [this, responder, room](const auto& page) {
    if (!page) return Fail(page.error(), responder);
    responder.Send(JsonReply(200, MembersJson(room, *page)));
  });
}

void NativeApi::GetUser(Call&& call, const Responder& responder) {
  const std::string& text = call.segments[0];
  std::int64_t mid = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mid);
  if (error != std::errc() || end != text.data() + text.size() || mid <= 0) {
    return Refuse(400, {"mid", "must be a whole number above 0"}, responder);
  }
  ports_.find_mids({Mid(mid)}, [this, responder, mid](const auto& places) {
    if (!places) return Fail(places.error(), responder);
    responder.Send(JsonReply(200, UserJson(mid, *places)));
  });
}

// ---- history ----------------------------------------------------------------------------------

void NativeApi::GetHistory(Call&& call, const Responder& responder) {
  const auto query = ReadHistory(call.request.query);
  if (const auto* fault = std::get_if<Fault>(&query)) return Refuse(400, *fault, responder);
  const auto& ask = std::get<timeline::HistoryQuery>(query);
  ports_.history(ask, [this, responder, name = ask.timeline](const auto& page) {
    if (!page) return Fail(page.error(), responder);
    responder.Send(JsonReply(200, PageJson(name, *page)));
  });
}

void NativeApi::DeleteHistory(Call&& call, const Responder& responder) {
  const auto query = ReadPurge(call.request.query);
  if (const auto* fault = std::get_if<Fault>(&query)) return Refuse(400, *fault, responder);
  const auto& ask = std::get<PurgeQuery>(query);
  ports_.purge(ask.timeline, ask.upto, [this, responder, name = ask.timeline](const auto& status) {
    if (!status) return Fail(status.error(), responder);
    responder.Send(JsonReply(200, {{"timeline", name}}));
  });
}

}  // namespace encke::native

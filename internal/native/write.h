#pragma once
// Writing the native API's replies.
//
// Owner    NativeApi.
// Thread   any; pure functions.
// Limit    none.

#include <string>
#include <string_view>
#include <vector>

#include "api/logic.pb.h"
#include "api/push.pb.h"

#include "base/result.h"
#include "native/fields.h"
#include "presence/members.h"
#include "push/push.h"
#include "store/sessions.h"
#include "store/timelines.h"
#include "web/http_server.h"

namespace encke::native {

web::HttpReply JsonReply(int status, const Json& json);
Json FaultJson(const Fault& fault);
Fault NoReport();  // of a push
// 404, 503 (may pass) or 500.
int StatusOf(Errc code);
Json ErrorJson(const Error& error);

// What a client said, as backends are told by the webhook.
std::string EventText(std::string_view type, const PushMsg& push);
std::string EventText(const Upstream& package);

Json AcceptedJson(const push::Accepted& accepted);
Json UserJson(std::int64_t mid, const std::vector<store::Place>& places);
Json MembersJson(const std::string& room, const presence::MemberPage& page);
Json PageJson(const std::string& timeline, const store::TimelinePage& page);

}  // namespace encke::native

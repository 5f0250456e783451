#pragma once
// Curl: one POST at a time by libcurl, over a connection that is kept.  The only home of libcurl.
//
// Owner    the Webhook that was given the port.
// Thread   the caller's; it waits for the answer.
// Limit    the post's timeout; an answer's body is thrown away, past 64 KiB the post has failed.

#include <string>

#include "base/result.h"
#include "webhook/webhook.h"

namespace encke::webhook {

Status CheckUrl(const std::string& url);
PostPort PostByCurl();

}  // namespace encke::webhook

#include "webhook/curl.h"

#include <memory>

#include <curl/curl.h>

namespace encke::webhook {

namespace {

constexpr std::size_t kAnswerBytesMax = std::size_t{64} * 1024;

struct Handle {
  Handle() : curl(curl_easy_init()) {}
  ~Handle() { curl_easy_cleanup(curl); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  CURL* curl;
};

void InitOnce() {
  static const CURLcode done = curl_global_init(CURL_GLOBAL_DEFAULT);
  static_cast<void>(done);
}

std::size_t Swallow(char*, std::size_t size, std::size_t count, void* seen) {
  std::size_t& bytes = *static_cast<std::size_t*>(seen);
  bytes += size * count;
  return bytes > kAnswerBytesMax ? 0 : size * count;
}

int Aborted(void* abort, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<const std::atomic<bool>*>(abort)->load() ? 1 : 0;
}

// A redirect is not followed: it would carry the events to where nobody configured them to go.
void Prepare(CURL* curl, const Post& post, const std::atomic<bool>& abort) {
  curl_easy_setopt(curl, CURLOPT_URL, post.url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_PROXY, "");  // no environment decides where events go
  curl_easy_setopt(curl, CURLOPT_POST, 1L);
  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, post.body.data());
  curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(post.body.size()));
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(post.timeout.count()));
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &Swallow);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, &Aborted);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &abort);
}

Posted PostWith(CURL* curl, const Post& post, const std::atomic<bool>& abort) {
  if (curl == nullptr) return {0, "out of memory"};
  curl_easy_reset(curl);  // the connection stays
  Prepare(curl, post, abort);
  std::size_t seen = 0;
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &seen);
  curl_slist* headers = curl_slist_append(nullptr, "Expect:");
  for (const std::string& header : post.headers)
    headers = curl_slist_append(headers, header.c_str());
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  const CURLcode code = curl_easy_perform(curl);
  curl_slist_free_all(headers);
  if (code != CURLE_OK) return {0, curl_easy_strerror(code)};
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  return {static_cast<int>(status), ""};
}

}  // namespace

Status CheckUrl(const std::string& url) {
  InitOnce();
  const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> parsed(curl_url(), &curl_url_cleanup);
  const bool whole = curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) == CURLUE_OK;
  const bool web = url.starts_with("http://") || url.starts_with("https://");
  if (whole && web) return Ok{};
  return Error{Errc::kInvalid, "webhook.url: must be http://... or https://...: " + url};
}

PostPort PostByCurl() {
  InitOnce();
  return [handle = std::make_shared<Handle>()](const Post& post, const std::atomic<bool>& abort) {
    return PostWith(handle->curl, post, abort);
  };
}

}  // namespace encke::webhook

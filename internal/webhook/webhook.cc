#include "webhook/webhook.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <utility>

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/ids.h"
#include "base/log.h"
#include "webhook/curl.h"

namespace encke::webhook {

namespace {

constexpr std::size_t kBatchBytes = 1 * kMega;  // of one post, unless one event is larger
constexpr Duration kIdle{3'600'000};

log::RateLimit lines(2);

bool Taken(const Posted& posted) { return posted.status >= 200 && posted.status < 300; }

bool MayPass(const Posted& posted) {
  return posted.status == 0 || posted.status == 408 || posted.status == 429 || posted.status >= 500;
}

Result<std::string> ReadSecret(const std::string& path) {
  if (path.empty()) return Error{Errc::kInvalid, "webhook.secret_file: must be set with a url"};
  std::ifstream file(path, std::ios::binary);
  std::string secret{std::istreambuf_iterator<char>(file), {}};
  while (!secret.empty() && (secret.back() == '\n' || secret.back() == '\r'))
    secret.pop_back();
  if (!file || secret.empty()) {
    return Error{Errc::kInvalid, "webhook.secret_file: cannot be read, or is empty: " + path};
  }
  return secret;
}

std::string BodyOf(const std::vector<std::string>& batch) {
  return fmt::format("{{\"events\":[{}]}}", fmt::join(batch, ","));
}

}  // namespace

std::string Signature(const std::string& secret, std::int64_t seconds, const std::string& body) {
  const std::string text = fmt::format("{}.{}", seconds, body);
  unsigned char hash[EVP_MAX_MD_SIZE];
  unsigned int bytes = 0;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), hash, &bytes);
  std::string out = fmt::format("t={},v1=", seconds);
  for (unsigned int i = 0; i < bytes; ++i)
    out += fmt::format("{:02x}", hash[i]);
  return out;
}

Result<std::unique_ptr<Webhook>> Webhook::Make(const WebhookOptions& options) {
  if (options.url.empty()) return std::make_unique<Webhook>(options, "", nullptr);
  if (Status good = CheckUrl(options.url); !good) return good.error();
  Result<std::string> secret = ReadSecret(options.secret_file);
  if (!secret) return secret.error();
  return std::make_unique<Webhook>(options, *secret, PostByCurl());
}

Webhook::Webhook(WebhookOptions options, std::string secret, PostPort post)
    : options_(std::move(options)), secret_(std::move(secret)), post_(std::move(post)) {
  if (on()) thread_ = std::thread([this] { Run(); });
}

Webhook::~Webhook() { Stop(Duration(0)); }

void Webhook::Put(std::string event) {
  if (!on()) return;
  const bool taken = queue_.With([&](Queue& queue) {
    const bool fits = queue.events.size() < options_.events_max &&
                      queue.bytes + event.size() <= options_.bytes_max && !stopping_;
    if (!fits) return false;
    queue.bytes += event.size();
    queue.events.push_back(std::move(event));
    counts_.waiting.Add(1);
    return true;
  });
  if (taken) return arrived_.Wake();
  counts_.full.Add();
  log::WarnSome(lines, "webhook.drop why=full");
}

void Webhook::Stop(Duration patience) {
  if (!thread_.joinable()) return;
  queue_.With([this](Queue&) { stopping_ = true; });
  pause_.Stop();
  arrived_.Stop();
  done_.Wait(patience);
  abort_ = true;
  thread_.join();
  const Queue rest = queue_.With([](Queue& queue) { return std::exchange(queue, {}); });
  counts_.left.Add(rest.events.size());
  counts_.waiting.Set(0);
  if (counts_.left.value() > 0) log::Warn("webhook.stop left={}", counts_.left.value());
}

// ---- the thread -------------------------------------------------------------------------------

void Webhook::Run() {
  NameThread("webhook");
  while (true) {
    const Batch batch = Take();
    if (batch.empty()) break;
    Deliver(batch);
    counts_.waiting.Add(-static_cast<std::int64_t>(batch.size()));
  }
  done_.Wake();
}

// Empty: it is time to go.
Webhook::Batch Webhook::Take() {
  while (!abort_) {
    Batch batch = queue_.With([this](Queue& queue) {
      Batch out;
      std::size_t bytes = 0;
      while (!queue.events.empty() && out.size() < options_.batch_max) {
        bytes += queue.events.front().size();
        if (!out.empty() && bytes > kBatchBytes) break;
        queue.bytes -= queue.events.front().size();
        out.push_back(std::move(queue.events.front()));
        queue.events.pop_front();
      }
      return out;
    });
    if (!batch.empty() || stopping_) return batch;
    arrived_.Wait(kIdle);
  }
  return {};
}

void Webhook::Deliver(const Batch& batch) {
  Post post{options_.url, {}, BodyOf(batch), options_.timeout};
  const std::string id = NewUuid();
  const std::int64_t until_ms = MonotonicMs() + options_.retry_for.count();
  Duration backoff = options_.backoff_min;
  while (true) {
    const std::int64_t now_s = WallUs() / 1'000'000;
    post.headers = {"Content-Type: application/json", "Encke-Delivery: " + id,
                    "Encke-Signature: " + Signature(secret_, now_s, post.body)};
    const Posted posted = PostOnce(post);
    if (Taken(posted)) return counts_.delivered.Add(batch.size());
    if (!MayPass(posted)) return Drop(counts_.refused, batch, posted);
    if (stopping_) return Drop(counts_.left, batch, posted);
    if (MonotonicMs() + backoff.count() > until_ms) return Drop(counts_.given_up, batch, posted);
    log::WarnSome(lines, "webhook.again events={} status={} why=\"{}\"", batch.size(),
                  posted.status, posted.why);
    pause_.Wait(backoff);
    backoff = std::min(backoff * 2, options_.backoff_max);
  }
}

Posted Webhook::PostOnce(const Post& post) {
  const std::int64_t began_us = MonotonicUs();
  Posted posted = post_(post, abort_);
  counts_.post_us.Observe(static_cast<std::uint64_t>(MonotonicUs() - began_us));
  (Taken(posted) ? counts_.posts : counts_.posts_failed).Add();
  return posted;
}

void Webhook::Drop(Counter& why, const Batch& batch, const Posted& posted) {
  why.Add(batch.size());
  log::WarnSome(lines, "webhook.drop events={} status={} why=\"{}\"", batch.size(), posted.status,
                posted.why);
}

}  // namespace encke::webhook

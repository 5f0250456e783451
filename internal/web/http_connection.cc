#include "web/http_connection.h"

#include <cassert>
#include <utility>

#include <fmt/core.h>

#include "base/clock.h"

namespace encke::web {
namespace {

constexpr std::size_t kInputHigh = 256UL * 1024;
constexpr std::size_t kKeepBytes = 16UL * 1024;  // a buffer larger than this is given back

HttpRequest RequestOf(const HttpHead& head, const std::string& peer_ip) {
  HttpRequest request;
  request.method = head.method;
  request.path = head.path;
  request.query = head.query;
  request.peer_ip = peer_ip;
  request.authorization = head.authorization;
  request.api_key = head.api_key;
  request.forwarded_for = head.forwarded_for;
  request.real_ip = head.real_ip;
  request.content_type = head.content_type;
  return request;
}

}  // namespace

HttpConnection::HttpConnection(std::uint64_t connection_id, std::string peer_ip, HttpShared& shared)
    : id(connection_id), shared_(shared), peer_ip_(std::move(peer_ip)), out_(kOutHead, '\0') {}

void HttpConnection::Add(std::string_view bytes) {
  if (phase != Phase::kClosing) in_.append(bytes);
}

bool HttpConnection::InputIsHigh() const {
  // A request that is being read needs its room; only what waits behind one is held back.
  return phase == Phase::kHandling && in_.size() - at_ > kInputHigh;
}

std::optional<HttpRequest> HttpConnection::Next(std::string_view date) {
  if (phase != Phase::kReading) return std::nullopt;
  if (!has_head_ && !ReadHead(date)) return std::nullopt;
  if (!BodyIsThere(date)) return std::nullopt;
  phase = Phase::kHandling;
  complete_us_ = MonotonicUs();
  shared_.counts.requests.Add();
  return TakeRequest();
}

// True when the head is there and may be followed by its body.
bool HttpConnection::ReadHead(std::string_view date) {
  const std::string_view text = std::string_view(in_).substr(at_);
  if (text.empty()) return false;
  HttpHead head;
  int status = 0;
  switch (
      ParseHead(text, shared_.options.header_bytes_max, &scanned_, &head, &head_bytes_, &status)) {
    case HeadParsed::kNeedMore:
      return false;
    case HeadParsed::kRefused:
      Refuse(status, date);
      return false;
    case HeadParsed::kHead:
      break;
  }
  if (head.content_length.value_or(0) > shared_.options.body_bytes_max) status = 413;
  if (status != 0) {
    Refuse(status, date);
    return false;
  }
  has_head_ = true;
  body_bytes_ = head.content_length.value_or(0);
  chunked_ = head.chunked;
  http11_ = head.http11;
  keep_alive_ = head.keep_alive;
  is_head_ = head.method == "HEAD";
  request_ = RequestOf(head, peer_ip_);
  const bool has_body = chunked_ || body_bytes_ > 0;
  const bool waits = head.expects_continue && text.size() == head_bytes_ && has_body;
  if (waits) out_.append("HTTP/1.1 100 Continue\r\n\r\n");
  return true;
}

bool HttpConnection::BodyIsThere(std::string_view date) {
  if (!chunked_) return in_.size() - at_ >= head_bytes_ + body_bytes_;
  const std::string_view text = std::string_view(in_).substr(at_ + head_bytes_);
  switch (TakeChunks(text, shared_.options.body_bytes_max, &request_.body, &body_bytes_)) {
    case ChunksParsed::kDone:
      return true;
    case ChunksParsed::kNeedMore:
      return false;
    case ChunksParsed::kBad:
      Refuse(400, date);
      return false;
    case ChunksParsed::kTooLarge:
      Refuse(413, date);
      return false;
  }
  assert(false);
  return false;
}

HttpRequest HttpConnection::TakeRequest() {
  HttpRequest request = std::move(request_);
  if (!chunked_) request.body = in_.substr(at_ + head_bytes_, body_bytes_);
  at_ += head_bytes_ + body_bytes_;
  has_head_ = false;
  scanned_ = 0;
  Compact();
  return request;
}

// Taking each request off the front would move the rest each time: it is done now and then.
void HttpConnection::Compact() {
  if (at_ == in_.size()) {
    in_.clear();
    at_ = 0;
    if (in_.capacity() > kKeepBytes) in_.shrink_to_fit();
  } else if (at_ > in_.size() / 2) {
    in_.erase(0, at_);
    at_ = 0;
  }
}

void HttpConnection::Answer(const HttpReply& reply, std::string_view date) {
  assert(phase == Phase::kHandling);
  if (last_one) keep_alive_ = false;
  AppendReply(&out_, reply, {http11_, keep_alive_, !is_head_, date});
  shared_.counts.answer_us.Observe(MonotonicUs() - complete_us_);
  phase = keep_alive_ ? Phase::kReading : Phase::kClosing;
  if (phase == Phase::kClosing) in_ = std::string();
}

void HttpConnection::Refuse(int status, std::string_view date) {
  if (status == 413) {
    shared_.counts.refused_body.Add();
  } else if (status == 503) {
    shared_.counts.refused_limit.Add();
  } else {
    shared_.counts.bad_requests.Add();
  }
  HttpReply reply;
  reply.status = status;
  reply.content_type = "text/plain; charset=utf-8";
  reply.body = fmt::format("{} {}", status, StatusText(status));
  AppendReply(&out_, reply, {http11_, false, true, date});
  phase = Phase::kClosing;
  in_ = std::string();
  at_ = 0;
}

void HttpConnection::Written() {
  out_.resize(kOutHead);
  if (out_.capacity() > kKeepBytes) out_.shrink_to_fit();
}

}  // namespace encke::web

#include "web/http_connection.h"

#include <cassert>
#include <utility>

#include <fmt/core.h>

#include "base/clock.h"

namespace encke::web {
namespace {

constexpr std::size_t kInputHigh = 256UL * 1024;
constexpr std::size_t kUnderWayHigh = 256UL * 1024;
constexpr std::size_t kHeldHigh = 256UL * 1024;
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
    : id(connection_id), shared_(shared), peer_ip_(std::move(peer_ip)) {}

void HttpConnection::Add(std::string_view bytes) {
  if (phase == Phase::kReading) in_.append(bytes);
}

bool HttpConnection::InputIsHigh() const {
  // A request that is being read needs its room; only what cannot begin yet is held back.
  return (choked || !MayBegin()) && in_.size() - at_ > kInputHigh;
}

std::optional<HttpConnection::Asked> HttpConnection::Next(std::string_view date) {
  if (phase != Phase::kReading) return std::nullopt;
  if (!has_head_ && !ReadHead(date)) return std::nullopt;
  if (!MayBegin()) return std::nullopt;
  if (std::exchange(expects_continue_, false) && in_.size() - at_ == head_bytes_) {
    out_.append("HTTP/1.1 100 Continue\r\n\r\n");
  }
  if (!BodyIsThere(date)) return std::nullopt;
  return Begin();
}

// False: the next request waits for answers to those before it.
bool HttpConnection::MayBegin() const {
  if (under_way_.empty()) return true;
  if (under_way_.size() >= shared_.options.pipeline_max) return false;
  if (under_way_bytes_ > kUnderWayHigh || held_bytes_ > kHeldHigh) return false;
  if (!has_head_) return true;
  return next_.row->together == Together::kYes && next_.row == under_way_.back().row &&
         !expects_continue_;
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
  expects_continue_ = head.expects_continue && (chunked_ || body_bytes_ > 0);
  next_ = {};
  next_.row = &shared_.Find(head.method, head.path);
  next_.http11 = head.http11;
  next_.keep_alive = head.keep_alive;
  next_.is_head = head.method == "HEAD";
  request_ = RequestOf(head, peer_ip_);
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

HttpConnection::Asked HttpConnection::Begin() {
  Asked asked{first_number_ + under_way_.size(), next_.row, std::move(request_)};
  if (!chunked_) asked.request.body.assign(in_, at_ + head_bytes_, body_bytes_);
  next_.bytes = head_bytes_ + body_bytes_;
  next_.complete_us = MonotonicUs();
  at_ += next_.bytes;
  has_head_ = false;
  scanned_ = 0;
  Compact();
  under_way_bytes_ += next_.bytes;
  under_way_.push_back(std::move(next_));
  shared_.counts.requests.Add();
  if (!under_way_.back().keep_alive) TakeNoMore();
  return asked;
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

void HttpConnection::TakeNoMore() {
  if (phase != Phase::kReading || under_way_.empty()) return;
  phase = Phase::kLast;
  in_ = std::string();
  at_ = 0;
}

void HttpConnection::Answer(std::uint64_t number, HttpReply reply, std::string_view date) {
  assert(number - first_number_ < under_way_.size());
  UnderWay& answered = under_way_[number - first_number_];
  assert(!answered.reply);
  held_bytes_ += reply.body.size();
  answered.reply = std::move(reply);
  SayReady(date);
}

void HttpConnection::SayReady(std::string_view date) {
  while (!under_way_.empty() && under_way_.front().reply) {
    const UnderWay& ready = under_way_.front();
    const bool ends = phase == Phase::kLast && under_way_.size() == 1 && refusal_ == 0;
    AppendReply(&out_, *ready.reply, {ready.http11, !ends, !ready.is_head, date});
    shared_.counts.answer_us.Observe(MonotonicUs() - ready.complete_us);
    held_bytes_ -= ready.reply->body.size();
    under_way_bytes_ -= ready.bytes;
    under_way_.pop_front();
    ++first_number_;
  }
  if (phase != Phase::kLast || !under_way_.empty()) return;
  if (refusal_ != 0) return SayRefusal(date);
  phase = Phase::kClosing;
}

void HttpConnection::Refuse(int status, std::string_view date) {
  if (status == 413) {
    shared_.counts.refused_body.Add();
  } else if (status == 503) {
    shared_.counts.refused_limit.Add();
  } else {
    shared_.counts.bad_requests.Add();
  }
  refusal_ = status;
  if (under_way_.empty()) return SayRefusal(date);
  TakeNoMore();
}

void HttpConnection::SayRefusal(std::string_view date) {
  HttpReply reply;
  reply.status = refusal_;
  reply.content_type = "text/plain; charset=utf-8";
  reply.body = fmt::format("{} {}", refusal_, StatusText(refusal_));
  AppendReply(&out_, reply, {true, false, true, date});
  phase = Phase::kClosing;
  in_ = std::string();
  at_ = 0;
}

void HttpConnection::Written(std::size_t bytes) {
  written_ += bytes;
  if (has_output()) return;
  out_.clear();
  written_ = 0;
  if (out_.capacity() > kKeepBytes) out_.shrink_to_fit();
}

}  // namespace encke::web

#pragma once
// HttpConnection: one client connection: bytes in, one request at a time, bytes out.  No socket.
//
//   kReading -> kHandling (a request is with its handler) -> kReading ... -> kClosing
//
// kClosing: the last reply is said; what still comes in is thrown away until the client closes, so
// that the reply is not lost to a reset.
//
// Owner    HttpLoop.
// Thread   its loop's.
// Limit    input: header_bytes_max + twice body_bytes_max (chunks) + one read; past kInputHigh the
// loop stops
//          reading from the socket.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "web/http_message.h"
#include "web/http_shared.h"

struct lws;

namespace encke::web {

class HttpConnection {
 public:
  enum class Phase : std::uint8_t { kReading, kHandling, kClosing };

  HttpConnection(std::uint64_t id, std::string peer_ip, HttpShared& shared);

  void Add(std::string_view bytes);
  // The next whole request, if we are reading and it has come.  May append to `out` (100 Continue,
  // a refusal) and go to kClosing.
  std::optional<HttpRequest> Next(std::string_view date);
  // The answer to the request that is being handled.
  void Answer(const HttpReply& reply, std::string_view date);
  void Refuse(int status, std::string_view date);  // says so and goes to kClosing

  // What is to be written; the first kOutHead bytes are room for libwebsockets.
  static constexpr std::size_t kOutHead = 64;
  bool has_output() const { return out_.size() > kOutHead; }
  std::size_t output_bytes() const { return out_.size() - kOutHead; }
  std::string& out() { return out_; }
  void Written();  // out has left: forget it

  bool InputIsHigh() const;
  bool idle() const { return phase == Phase::kReading && !has_output(); }
  bool fresh() const { return in_.size() == at_; }  // no part of a request has come

  const std::uint64_t id;
  struct lws* wsi = nullptr;
  Phase phase = Phase::kReading;
  bool touched = false;   // is in the loop's list of those to advance
  bool dirty = false;     // is in the loop's list of those to settle
  bool reading = true;    // the socket is being read
  bool shut = false;      // our side of the socket is shut
  bool last_one = false;  // the server is stopping: close after the next answer
  bool counted = true;    // against connections_max
  std::int64_t deadline_ms = 0;

 private:
  bool ReadHead(std::string_view date);
  bool BodyIsThere(std::string_view date);
  HttpRequest TakeRequest();
  void Compact();

  HttpShared& shared_;
  std::string peer_ip_;
  std::string in_;
  std::size_t at_ = 0;       // start of the request being read, in in_
  std::size_t scanned_ = 0;  // how far the end of its head was looked for
  bool has_head_ = false;
  std::size_t head_bytes_ = 0;
  std::size_t body_bytes_ = 0;  // as they came: with the framing of chunks, so far
  bool chunked_ = false;
  HttpRequest request_;  // once the head has come; the body only of chunks
  bool http11_ = true;
  bool keep_alive_ = true;
  bool is_head_ = false;
  std::string out_;
  std::int64_t complete_us_ = 0;
};

}  // namespace encke::web

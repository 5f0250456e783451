#pragma once
// HttpConnection: one client connection: bytes in, requests in order, bytes out.  No socket.
//
//   kReading -> kLast (nothing more is taken; answers are still to come) -> kClosing
//
// Requests under way have consecutive numbers; a reply that is ready before those of earlier
// requests waits for them here.  kClosing: the last reply is said; what still comes in is thrown
// away until the client closes, so that the reply is not lost to a reset.
//
// Owner    HttpLoop.
// Thread   its loop's.
// Limit    input: header_bytes_max + twice body_bytes_max (chunks) + one read; past kInputHigh the
//          loop stops reading while nothing can be begun.  Under way: pipeline_max requests and
//          kUnderWayHigh bytes of them, or one of any size; of replies that wait kHeldHigh, and
//          what the requests that were under way then bring.

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "web/http_message.h"
#include "web/http_shared.h"

struct lws;

namespace encke::web {

class HttpConnection {
 public:
  enum class Phase : std::uint8_t { kReading, kLast, kClosing };
  struct Asked {
    std::uint64_t number = 0;
    const HttpShared::Row* row = nullptr;
    HttpRequest request;
  };

  HttpConnection(std::uint64_t id, std::string peer_ip, HttpShared& shared);

  void Add(std::string_view bytes);
  // The next request, if it has come whole and may begin.  May append to `out` (100 Continue, a
  // refusal) and leave kReading.
  std::optional<Asked> Next(std::string_view date);
  void Answer(std::uint64_t number, HttpReply reply, std::string_view date);
  void Refuse(int status, std::string_view date);  // behind what is under way, and closes
  void TakeNoMore();                               // what is under way is still answered

  // What is to be written.
  std::string_view output() const { return std::string_view(out_).substr(written_); }
  bool has_output() const { return written_ < out_.size(); }
  void Written(std::size_t bytes);  // so many have left

  bool InputIsHigh() const;
  std::size_t under_way() const { return under_way_.size(); }
  bool idle() const { return phase == Phase::kReading && under_way_.empty() && !has_output(); }
  bool fresh() const { return in_.size() == at_; }  // no part of a request has come

  const std::uint64_t id;
  struct lws* wsi = nullptr;
  int fd = -1;
  Phase phase = Phase::kReading;
  bool touched = false;  // is in the loop's list of those to advance
  bool dirty = false;    // is in the loop's list of those to settle
  bool stuck = false;    // the kernel did not take all output
  bool choked = false;   // the client does not take its replies: nothing is begun
  bool reading = true;   // the socket is being read
  bool ended = false;    // the client will say nothing more, but may listen
  bool shut = false;     // our side of the socket is shut
  bool counted = true;   // against connections_max
  std::int64_t deadline_ms = 0;

 private:
  struct UnderWay {
    const HttpShared::Row* row = nullptr;
    bool http11 = true;
    bool keep_alive = true;
    bool is_head = false;
    std::size_t bytes = 0;
    std::int64_t complete_us = 0;
    std::optional<HttpReply> reply;
  };

  bool ReadHead(std::string_view date);
  bool MayBegin() const;
  bool BodyIsThere(std::string_view date);
  Asked Begin();
  void Compact();
  void SayReady(std::string_view date);
  void SayRefusal(std::string_view date);

  HttpShared& shared_;
  std::string peer_ip_;
  std::string in_;
  std::size_t at_ = 0;       // start of the request being read, in in_
  std::size_t scanned_ = 0;  // how far the end of its head was looked for
  bool has_head_ = false;
  std::size_t head_bytes_ = 0;
  std::size_t body_bytes_ = 0;  // as they came: with the framing of chunks, so far
  bool chunked_ = false;
  bool expects_continue_ = false;
  UnderWay next_;        // once the head has come
  HttpRequest request_;  // the same; the body only of chunks

  std::deque<UnderWay> under_way_;
  std::uint64_t first_number_ = 0;   // of under_way_.front()
  std::size_t under_way_bytes_ = 0;  // of the requests
  std::size_t held_bytes_ = 0;       // of the replies that wait
  int refusal_ = 0;                  // to be said behind them
  std::string out_;
  std::size_t written_ = 0;  // of out_
};

}  // namespace encke::web

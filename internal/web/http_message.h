#pragma once
// HttpMessage: the head of an HTTP/1.x request, and the bytes of a reply.  RFC 9112.
//
//   head := request-line *( field-line ) CRLF        a lone LF ends a line too, as in Go
//
// Refused with a status: anything that could be framed in two ways (400: two different lengths,
// folded lines, blanks before a colon, control characters, Transfer-Encoding beside
// Content-Length), a head past head_bytes_max (431), HTTP/2 or older than 1.0 (505), an encoding
// that is not "chunked" (501).
//
// Owner    pure functions; the views in HttpHead borrow the input.
// Thread   any.
// Limit    head_bytes_max of the caller.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "web/http_server.h"

namespace encke::web {

struct HttpHead {
  std::string_view method;
  std::string_view path;   // as sent; "*" for OPTIONS *
  std::string_view query;  // without '?'
  bool http11 = true;
  bool keep_alive = true;
  bool expects_continue = false;
  bool chunked = false;
  std::optional<std::uint64_t> content_length;
  std::string_view host;
  std::string_view authorization;
  std::string_view api_key;
  std::string_view forwarded_for;
  std::string_view real_ip;
  std::string_view content_type;
};

enum class HeadParsed : std::uint8_t { kHead, kNeedMore, kRefused };

// *scanned remembers how far the end was looked for, so that a head that comes in many pieces is
// not searched again from its start; 0 for a new head.  kHead sets *consumed, kRefused *status.
HeadParsed ParseHead(std::string_view in,
                     std::size_t head_bytes_max,
                     std::size_t* scanned,
                     HttpHead* out,
                     std::size_t* consumed,
                     int* status);

//   chunks := *( size-in-hex [ ";" anything ] CRLF data CRLF ) "0" CRLF *( trailer CRLF ) CRLF
//
// Takes the chunks that have come whole off `in` from *consumed on, appends their data to *body and
// moves *consumed behind them; kDone when the last one was there.  Extensions and trailers are
// read over.  kTooLarge: the body, or the framing around it, is beyond what body_bytes_max allows.
enum class ChunksParsed : std::uint8_t { kDone, kNeedMore, kBad, kTooLarge };
ChunksParsed TakeChunks(std::string_view in,
                        std::size_t body_bytes_max,
                        std::string* body,
                        std::size_t* consumed);

// "/a%20b" -> "/a b"; nothing when an escape is broken.
std::optional<std::string> DecodePath(std::string_view path);

struct ReplyForm {
  bool http11 = true;  // what the client spoke; we always answer with 1.1
  bool keep_alive = true;
  bool with_body = true;  // false for HEAD
  std::string_view date;  // as HttpDate wrote it
};
void AppendReply(std::string* out, const HttpReply& reply, const ReplyForm& form);

// "Tue, 15 Nov 1994 08:12:31 GMT"
std::string HttpDate(std::int64_t wall_seconds);
std::string_view StatusText(int status);

}  // namespace encke::web

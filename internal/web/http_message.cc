#include "web/http_message.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <charconv>
#include <ctime>

#include <fmt/core.h>
#include <fmt/format.h>

namespace encke::web {
namespace {

// The head being read: where it goes, and what only matters while reading.
struct Reading {
  HttpHead* head = nullptr;
  bool seen_host = false;
};

constexpr int kFine = 0;
constexpr std::size_t kChunkLineMax = 256;
constexpr std::size_t kTrailersMax = 8192;

bool IsToken(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           kMarks.find(c) != std::string_view::npos;
  });
}

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool SameWord(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return Lower(x) == Lower(y); });
}

std::string_view Trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// Is `word` one of the comma separated words of a field such as Connection?
bool Lists(std::string_view value, std::string_view word) {
  while (!value.empty()) {
    const auto comma = value.find(',');
    if (SameWord(Trim(value.substr(0, comma)), word)) return true;
    value = comma == std::string_view::npos ? "" : value.substr(comma + 1);
  }
  return false;
}

// Takes one line, without its end, off the front of `in`.
std::string_view TakeLine(std::string_view* in) {
  const auto end = in->find('\n');
  std::string_view line = in->substr(0, end);
  in->remove_prefix(end == std::string_view::npos ? in->size() : end + 1);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

// Bytes up to and with the empty line, or 0 while it has not come.
std::size_t FindHeadEnd(std::string_view in, std::size_t* scanned) {
  std::size_t from = *scanned < 3 ? 0 : *scanned - 3;
  for (;;) {
    const auto line_end = in.find('\n', from);
    if (line_end == std::string_view::npos) break;
    const std::string_view rest = in.substr(line_end + 1);
    if (rest.starts_with('\n')) return line_end + 2;
    if (rest.starts_with("\r\n")) return line_end + 3;
    from = line_end + 1;
  }
  *scanned = in.size();
  return 0;
}

// "http://host/path" -> "/path": a proxy's way to say it.
std::string_view WithoutAuthority(std::string_view target) {
  const auto scheme = target.find("://");
  if (target.starts_with('/') || scheme == std::string_view::npos) return target;
  const auto slash = target.find_first_of("/?", scheme + 3);
  return slash == std::string_view::npos ? "/" : target.substr(slash);
}

int ReadTarget(std::string_view target, HttpHead* head) {
  target = WithoutAuthority(target);
  target = target.substr(0, target.find('#'));
  if (target != "*" && !target.starts_with('/') && !target.starts_with('?')) return 400;
  const auto mark = target.find('?');
  head->path = mark == 0 ? "/" : target.substr(0, mark);
  head->query = mark == std::string_view::npos ? "" : target.substr(mark + 1);
  return kFine;
}

int ReadRequestLine(std::string_view line, Reading* reading) {
  const auto first = line.find(' ');
  const auto last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return 400;
  const std::string_view target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  reading->head->method = line.substr(0, first);
  const auto odd = [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == 0x7f; };
  if (!IsToken(reading->head->method) || target.empty()) return 400;
  if (std::any_of(target.begin(), target.end(), odd)) return 400;
  if (!version.starts_with("HTTP/")) return 400;
  if (version != "HTTP/1.1" && version != "HTTP/1.0") return 505;
  reading->head->http11 = version == "HTTP/1.1";
  reading->head->keep_alive = reading->head->http11;
  return ReadTarget(target, reading->head);
}

int ReadLength(std::string_view value, HttpHead* head) {
  std::uint64_t length = 0;
  const auto* end = value.data() + value.size();
  const auto [ptr, error] = std::from_chars(value.data(), end, length);
  if (value.empty() || ptr != end || error != std::errc()) return 400;
  if (head->content_length && *head->content_length != length) return 400;
  head->content_length = length;
  return kFine;
}

using ReadField = int (*)(std::string_view value, Reading* reading);

template <std::string_view HttpHead::*kField>
int Keep(std::string_view value, Reading* reading) {
  std::string_view& field = reading->head->*kField;
  if (field.empty()) field = value;  // the first one counts, as with Go's Header.Get
  return kFine;
}

struct FieldRow {
  std::string_view name;
  ReadField read;
};

constexpr std::array kFields = {
    FieldRow{"content-length", [](auto value, auto* r) { return ReadLength(value, r->head); }},
    FieldRow{"transfer-encoding",
             [](auto value, auto* r) {
               if (r->head->chunked || !r->head->http11) return 400;
               r->head->chunked = SameWord(value, "chunked");
               return r->head->chunked ? kFine : 501;
             }},
    FieldRow{"connection",
             [](auto value, auto* r) {
               if (Lists(value, "close")) r->head->keep_alive = false;
               if (!r->head->http11 && Lists(value, "keep-alive")) r->head->keep_alive = true;
               return kFine;
             }},
    FieldRow{"host",
             [](auto value, auto* r) {
               if (r->seen_host) return 400;
               r->seen_host = true;
               r->head->host = value;
               return kFine;
             }},
    FieldRow{"expect",
             [](auto value, auto* r) {
               if (!SameWord(value, "100-continue")) return 417;
               r->head->expects_continue = r->head->http11;
               return kFine;
             }},
    FieldRow{"authorization", Keep<&HttpHead::authorization>},
    FieldRow{"x-api-key", Keep<&HttpHead::api_key>},
    FieldRow{"x-forwarded-for", Keep<&HttpHead::forwarded_for>},
    FieldRow{"x-real-ip", Keep<&HttpHead::real_ip>},
    FieldRow{"content-type", Keep<&HttpHead::content_type>},
};

int ReadFieldLine(std::string_view line, Reading* reading) {
  const auto colon = line.find(':');
  if (colon == std::string_view::npos || !IsToken(line.substr(0, colon))) return 400;
  const std::string_view value = Trim(line.substr(colon + 1));
  const auto odd = [](char c) {
    return (static_cast<unsigned char>(c) < ' ' && c != '\t') || c == 0x7f;
  };
  if (std::any_of(value.begin(), value.end(), odd)) return 400;
  for (const FieldRow& row : kFields) {
    if (SameWord(row.name, line.substr(0, colon))) return row.read(value, reading);
  }
  return kFine;
}

int ReadHead(std::string_view text, HttpHead* head) {
  Reading reading{head};
  if (const int status = ReadRequestLine(TakeLine(&text), &reading); status != kFine) {
    return status;
  }
  for (std::string_view line = TakeLine(&text); !line.empty(); line = TakeLine(&text)) {
    if (const int status = ReadFieldLine(line, &reading); status != kFine) return status;
  }
  if (head->http11 && !reading.seen_host) return 400;
  return head->chunked && head->content_length ? 400 : kFine;  // else framed in two ways
}

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char low = Lower(c);
  return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

bool Decode(std::string_view text, bool plus_is_blank, std::string* out) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      if (i + 2 >= text.size()) return false;
      const int high = HexValue(text[i + 1]);
      const int low = HexValue(text[i + 2]);
      if (high < 0 || low < 0) return false;
      out->push_back(static_cast<char>(high * 16 + low));
      i += 2;
    } else {
      out->push_back(plus_is_blank && text[i] == '+' ? ' ' : text[i]);
    }
  }
  return true;
}

// The size at the head of a chunk; nothing when it is not one.
std::optional<std::size_t> ChunkSize(std::string_view line) {
  const std::string_view digits = Trim(line.substr(0, line.find(';')));
  std::size_t size = 0;
  const auto* end = digits.data() + digits.size();
  const auto [ptr, error] = std::from_chars(digits.data(), end, size, 16);
  if (digits.empty() || digits[0] == '-' || ptr != end || error != std::errc()) return std::nullopt;
  return size;
}

// `in` begins behind the line of the last chunk.
ChunksParsed EndChunks(std::string_view in, std::size_t* consumed) {
  const auto end = in.starts_with("\r\n") ? 0 : in.substr(0, kTrailersMax).find("\r\n\r\n");
  if (end == std::string_view::npos) {
    return in.size() >= kTrailersMax ? ChunksParsed::kTooLarge : ChunksParsed::kNeedMore;
  }
  *consumed += end + (end == 0 ? 2 : 4);
  return ChunksParsed::kDone;
}

std::string_view ConnectionField(const ReplyForm& form) {
  if (!form.keep_alive) return "Connection: close\r\n";
  return form.http11 ? "" : "Connection: keep-alive\r\n";
}

}  // namespace

HeadParsed ParseHead(std::string_view in,
                     std::size_t head_bytes_max,
                     std::size_t* scanned,
                     HttpHead* out,
                     std::size_t* consumed,
                     int* status) {
  // A stray line end before a request is allowed by the RFC; some clients send one after a body.
  const auto start = std::min(in.find_first_not_of("\r\n"), in.size());
  std::size_t from = *scanned > start ? *scanned - start : 0;
  const std::size_t end = FindHeadEnd(in.substr(start), &from);
  if (end == 0) *scanned = start + from;
  if ((end == 0 ? in.size() : start + end) > head_bytes_max) {
    *status = 431;
    return HeadParsed::kRefused;
  }
  if (end == 0) return HeadParsed::kNeedMore;
  *out = HttpHead{};
  *status = ReadHead(in.substr(start, end), out);
  if (*status != kFine) return HeadParsed::kRefused;
  *consumed = start + end;
  return HeadParsed::kHead;
}

ChunksParsed TakeChunks(std::string_view in,
                        std::size_t body_bytes_max,
                        std::string* body,
                        std::size_t* consumed) {
  for (;;) {
    const std::string_view rest = in.substr(*consumed);
    const auto line_end = rest.substr(0, kChunkLineMax).find("\r\n");
    if (line_end == std::string_view::npos) {
      return rest.size() >= kChunkLineMax ? ChunksParsed::kBad : ChunksParsed::kNeedMore;
    }
    const auto size = ChunkSize(rest.substr(0, line_end));
    if (!size) return ChunksParsed::kBad;
    const std::string_view data = rest.substr(line_end + 2);
    if (*size == 0) {
      std::size_t trailers = 0;
      const ChunksParsed ended = EndChunks(data, &trailers);
      if (ended == ChunksParsed::kDone) *consumed += line_end + 2 + trailers;
      return ended;
    }
    if (*size > body_bytes_max - body->size()) return ChunksParsed::kTooLarge;
    if (data.size() < *size + 2) return ChunksParsed::kNeedMore;
    if (data.substr(*size, 2) != "\r\n") return ChunksParsed::kBad;
    body->append(data.substr(0, *size));
    *consumed += line_end + 2 + *size + 2;
    if (*consumed > 2 * body_bytes_max + kTrailersMax) return ChunksParsed::kTooLarge;
  }
}

std::optional<std::string> DecodePath(std::string_view path) {
  std::string out;
  out.reserve(path.size());
  if (!Decode(path, false, &out)) return std::nullopt;
  return out;
}

std::vector<std::pair<std::string, std::string>> ParseQuery(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> pairs;
  while (!query.empty()) {
    const auto end = query.find('&');
    const std::string_view pair = query.substr(0, end);
    query = end == std::string_view::npos ? "" : query.substr(end + 1);
    if (pair.empty() || pair.find(';') != std::string_view::npos) continue;
    const auto equals = pair.find('=');
    std::string key;
    std::string value;
    if (!Decode(pair.substr(0, equals), true, &key)) continue;
    if (equals != std::string_view::npos && !Decode(pair.substr(equals + 1), true, &value)) {
      continue;
    }
    pairs.emplace_back(std::move(key), std::move(value));
  }
  return pairs;
}

void AppendReply(std::string* out, const HttpReply& reply, const ReplyForm& form) {
  auto to = std::back_inserter(*out);
  fmt::format_to(to, "HTTP/1.1 {} {}\r\n", reply.status, StatusText(reply.status));
  if (!reply.content_type.empty()) fmt::format_to(to, "Content-Type: {}\r\n", reply.content_type);
  for (const auto& [name, value] : reply.headers) {
    assert(value.find_first_of("\r\n") == std::string::npos);
    fmt::format_to(to, "{}: {}\r\n", name, value);
  }
  fmt::format_to(to, "Date: {}\r\nContent-Length: {}\r\n{}\r\n", form.date, reply.body.size(),
                 ConnectionField(form));
  if (form.with_body) out->append(reply.body);
}

std::string HttpDate(std::int64_t wall_seconds) {
  static constexpr std::array kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t when = wall_seconds;
  std::tm tm{};
  gmtime_r(&when, &tm);
  return fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT", kDays.at(tm.tm_wday), tm.tm_mday,
                     kMonths.at(tm.tm_mon), tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

std::string_view StatusText(int status) {
  struct Row {
    int status;
    std::string_view text;
  };
  static constexpr std::array kRows = {
      Row{200, "OK"},
      Row{204, "No Content"},
      Row{301, "Moved Permanently"},
      Row{302, "Found"},
      Row{304, "Not Modified"},
      Row{307, "Temporary Redirect"},
      Row{400, "Bad Request"},
      Row{401, "Unauthorized"},
      Row{403, "Forbidden"},
      Row{404, "Not Found"},
      Row{405, "Method Not Allowed"},
      Row{413, "Request Entity Too Large"},
      Row{417, "Expectation Failed"},
      Row{429, "Too Many Requests"},
      Row{431, "Request Header Fields Too Large"},
      Row{500, "Internal Server Error"},
      Row{501, "Not Implemented"},
      Row{503, "Service Unavailable"},
      Row{505, "HTTP Version Not Supported"},
  };
  for (const Row& row : kRows) {
    if (row.status == status) return row.text;
  }
  return "Unknown";
}

}  // namespace encke::web

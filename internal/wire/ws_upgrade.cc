#include "wire/ws_upgrade.h"

#include <algorithm>
#include <array>
#include <cassert>

#include <fmt/core.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

namespace encke::wire {
namespace {

constexpr std::string_view kPath = "/sub";
constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";  // RFC 6455 section 1.3

constexpr int kBadRequest = 400;
constexpr int kNotFound = 404;
constexpr int kMethodNotAllowed = 405;
constexpr int kUpgradeRequired = 426;
constexpr int kHeadTooLarge = 431;

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool SameWord(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return Lower(x) == Lower(y); });
}

bool ContainsWord(std::string_view text, std::string_view word) {
  return std::search(text.begin(), text.end(), word.begin(), word.end(),
                     [](char x, char y) { return Lower(x) == Lower(y); }) != text.end();
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
    text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
    text.remove_suffix(1);
  return text;
}

// Takes one line off the front; lines end with LF, a CR before it belongs to the end.
std::string_view TakeLine(std::string_view* in) {
  const std::size_t end = in->find('\n');
  assert(end != std::string_view::npos);
  std::string_view line = in->substr(0, end);
  in->remove_prefix(end + 1);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

// Bytes of the head with its empty line; 0 = not complete.
std::size_t HeadBytes(std::string_view in) {
  for (std::size_t at = in.find('\n'); at != std::string_view::npos; at = in.find('\n', at + 1)) {
    const std::string_view rest = in.substr(at + 1);
    if (rest.starts_with('\n')) return at + 2;
    if (rest.starts_with("\r\n")) return at + 3;
  }
  return 0;
}

// Header values reach logs and other processes: nothing that is not text gets that far.
bool IsText(std::string_view line) {
  return std::none_of(line.begin(), line.end(), [](char c) {
    const auto b = static_cast<unsigned char>(c);
    return (b < 0x20 && c != '\t') || b == 0x7f;
  });
}

struct Headers {
  std::string_view upgrade, connection, version, real_ip;
};

// The first of several headers of one name counts, as in goim.
void SetFirst(std::string_view* field, std::string_view value) {
  if (field->data() == nullptr) *field = value;
}

void TakeHeader(std::string_view name, std::string_view value, Headers* headers, WsUpgrade* out) {
  if (SameWord(name, "Upgrade")) SetFirst(&headers->upgrade, value);
  if (SameWord(name, "Connection")) SetFirst(&headers->connection, value);
  if (SameWord(name, "Sec-WebSocket-Version")) SetFirst(&headers->version, value);
  if (SameWord(name, "Sec-WebSocket-Key")) SetFirst(&out->key, value);
  if (SameWord(name, "Cookie")) SetFirst(&out->cookie, value);
  if (SameWord(name, "X-Forwarded-For")) SetFirst(&out->forwarded_for, value);
  if (SameWord(name, "X-Real-IP")) SetFirst(&headers->real_ip, value);
}

// Each of these answers 0 or the status to refuse with.
int ReadRequestLine(std::string_view line, WsUpgrade* out) {
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (!IsText(line) || first == std::string_view::npos || first == last) return kBadRequest;
  if (line.substr(last + 1) != "HTTP/1.1") return kBadRequest;
  if (line.substr(0, first) != "GET") return kMethodNotAllowed;
  const std::string_view target = line.substr(first + 1, last - first - 1);
  const std::size_t mark = target.find('?');
  out->path = target.substr(0, mark);
  if (mark != std::string_view::npos) out->query = target.substr(mark + 1);
  return out->path == kPath ? 0 : kNotFound;
}

int ReadHeaders(std::string_view head, Headers* headers, WsUpgrade* out) {
  for (std::string_view line = TakeLine(&head); !line.empty(); line = TakeLine(&head)) {
    const std::size_t colon = line.find(':');
    if (!IsText(line) || colon == std::string_view::npos || colon == 0) return kBadRequest;
    const std::string_view name = line.substr(0, colon);
    if (name.find_first_of(" \t") != std::string_view::npos) return kBadRequest;
    TakeHeader(name, Trim(line.substr(colon + 1)), headers, out);
  }
  if (out->forwarded_for.empty()) out->forwarded_for = headers->real_ip;
  return 0;
}

int Judge(const Headers& headers, const WsUpgrade& upgrade) {
  if (!SameWord(headers.upgrade, "websocket")) return kUpgradeRequired;
  if (headers.version != "13") return kUpgradeRequired;
  if (!ContainsWord(headers.connection, "upgrade")) return kBadRequest;
  return upgrade.key.empty() ? kBadRequest : 0;
}

std::string_view ReasonOf(int status) {
  switch (status) {
    case kNotFound:
      return "Not Found";
    case kMethodNotAllowed:
      return "Method Not Allowed";
    case kUpgradeRequired:
      return "Upgrade Required";
    case kHeadTooLarge:
      return "Request Header Fields Too Large";
    default:
      return "Bad Request";
  }
}

}  // namespace

UpgradeParsed ParseUpgrade(std::string_view in,
                           WsUpgrade* out,
                           std::size_t* consumed,
                           int* status) {
  const std::size_t bytes = HeadBytes(in.substr(0, kUpgradeBytesMax));
  if (bytes == 0 && in.size() < kUpgradeBytesMax) return UpgradeParsed::kNeedMore;
  *status = kHeadTooLarge;
  if (bytes == 0) return UpgradeParsed::kRefused;

  *out = WsUpgrade{};
  Headers headers;
  std::string_view head = in.substr(0, bytes);
  *status = ReadRequestLine(TakeLine(&head), out);
  if (*status == 0) *status = ReadHeaders(head, &headers, out);
  if (*status == 0) *status = Judge(headers, *out);
  if (*status != 0) return UpgradeParsed::kRefused;
  *consumed = bytes;
  return UpgradeParsed::kUpgrade;
}

std::string UpgradeAnswer(std::string_view key) {
  std::string text(key);
  text += kGuid;
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest{};
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  std::array<unsigned char, 4 * ((SHA_DIGEST_LENGTH + 2) / 3) + 1> accept{};
  EVP_EncodeBlock(accept.data(), digest.data(), SHA_DIGEST_LENGTH);
  return fmt::format(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Accept: {}\r\n\r\n",
      reinterpret_cast<const char*>(accept.data()));
}

std::string UpgradeRefusal(int status) {
  const std::string_view reason = ReasonOf(status);
  std::string_view more = "Connection: close\r\n";
  if (status == kMethodNotAllowed) more = "Connection: close\r\nAllow: GET\r\n";
  if (status == kUpgradeRequired) {
    more =
        "Connection: close, Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\n";
  }
  const std::string body = fmt::format("{} {}\n", status, reason);
  return fmt::format(
      "HTTP/1.1 {} {}\r\n{}Content-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\r\n{}",
      status, reason, more, body.size(), body);
}

}  // namespace encke::wire

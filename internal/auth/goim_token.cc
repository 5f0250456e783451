#include "auth/goim_token.h"

#include <algorithm>
#include <limits>
#include <utility>

#include <nlohmann/json.hpp>

namespace encke::auth {

namespace {

using Json = nlohmann::json;

constexpr char kReplacement[] = "\xef\xbf\xbd";

// Bytes of the UTF-8 character at the beginning; 0 when there is none.
std::size_t Utf8Length(std::string_view text) {
  const auto byte = [&](std::size_t i) -> unsigned {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0;
  };
  const auto tail = [&](std::size_t i, unsigned low = 0x80, unsigned high = 0xbf) {
    return byte(i) >= low && byte(i) <= high;
  };
  const unsigned b = byte(0);
  if (b < 0x80) return 1;
  if (b >= 0xc2 && b <= 0xdf) return tail(1) ? 2 : 0;
  if (b >= 0xe0 && b <= 0xef) {
    return tail(1, b == 0xe0 ? 0xa0 : 0x80, b == 0xed ? 0x9f : 0xbf) && tail(2) ? 3 : 0;
  }
  if (b >= 0xf0 && b <= 0xf4) {
    return tail(1, b == 0xf0 ? 0x90 : 0x80, b == 0xf4 ? 0x8f : 0xbf) && tail(2) && tail(3) ? 4 : 0;
  }
  return 0;
}

// The value of "\uXXXX" at the beginning; -1 when it is something else.
int EscapedUnit(std::string_view text) {
  if (text.size() < 6 || text[0] != '\\' || text[1] != 'u') return -1;
  int value = 0;
  for (const char c : text.substr(2, 4)) {
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

// Copies one escape; answers how many bytes it was.
std::size_t CopyEscape(std::string_view text, std::string* out) {
  const int unit = EscapedUnit(text);
  if (unit < 0xd800 || unit > 0xdfff) {  // no surrogate: "\\" and what follows stay together
    const std::size_t length = std::min<std::size_t>(
        text.size(), text.size() > 1 && static_cast<unsigned char>(text[1]) < 0x80 ? 2 : 1);
    out->append(text.substr(0, length));
    return length;
  }
  const int second = EscapedUnit(text.substr(6));
  if (unit <= 0xdbff && second >= 0xdc00 && second <= 0xdfff) {
    out->append(text.substr(0, 12));
    return 12;
  }
  out->append("\\ufffd");
  return 6;
}

// Go folds ASCII letters, and the two other characters whose lower case is ASCII: the Kelvin sign
// and the long s.
std::string FoldName(std::string_view name) {
  std::string folded;
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (name.substr(i, 3) == "\xe2\x84\xaa") {
      folded += 'k';
      i += 2;
    } else if (name.substr(i, 2) == "\xc5\xbf") {
      folded += 's';
      i += 1;
    } else {
      const char c = name[i];
      folded += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
  }
  return folded;
}

// Takes the events of the parser.  Depth 1 is inside the object; depth 2 matters for accepts only.
// Every method answers whether to go on, as nlohmann::json_sax wants it.
class Reader : public nlohmann::json_sax<Json> {
 public:
  Reader(GoimToken* out, bool with_token) : out_(out), with_token_(with_token) {}

  const Error& error() const { return error_; }

  bool null() override {
    if (InAccepts()) return AddAccept(0);
    if (depth_ == 1 && field_ == Field::kAccepts) out_->accepts.clear();
    return true;
  }
  bool boolean(bool) override { return Other("a boolean"); }
  bool number_integer(number_integer_t value) override { return Number(value); }
  bool number_unsigned(number_unsigned_t value) override {
    if (value <= static_cast<number_unsigned_t>(std::numeric_limits<std::int64_t>::max())) {
      return Number(static_cast<std::int64_t>(value));
    }
    return Other("a number out of range");
  }
  bool number_float(number_float_t, const string_t&) override { return Other("not an integer"); }
  bool string(string_t& value) override;
  bool binary(binary_t&) override { return Other("binary"); }
  bool start_object(std::size_t) override {
    if (depth_ > 0 && !Other("an object")) return false;
    ++depth_;
    return true;
  }
  bool key(string_t& name) override {
    if (depth_ == 1) field_ = FieldOf(FoldName(name));
    return true;
  }
  bool end_object() override { return --depth_, true; }
  bool start_array(std::size_t) override {
    if (depth_ == 1 && field_ == Field::kAccepts) {
      in_accepts_ = true;
      out_->accepts.clear();
    } else if (!Other("an array")) {
      return false;
    }
    ++depth_;
    return true;
  }
  bool end_array() override {
    if (--depth_ == 1) in_accepts_ = false;
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const Json::exception&) override {
    return Fail(Errc::kInvalid, "not JSON");
  }

 private:
  enum class Field : std::uint8_t { kOther, kMid, kKey, kRoom, kPlatform, kAccepts, kToken };

  Field FieldOf(std::string_view name) const {
    if (name == "mid") return Field::kMid;
    if (name == "key") return Field::kKey;
    if (name == "room_id") return Field::kRoom;
    if (name == "platform") return Field::kPlatform;
    if (name == "accepts") return Field::kAccepts;
    if (name == "token" && with_token_) return Field::kToken;
    return Field::kOther;
  }

  bool InAccepts() const { return in_accepts_ && depth_ == 2; }
  // A value whose kind no field of ours has: fine where nobody looks.
  bool Other(const char* what) {
    const bool looked_at = depth_ == 0 || InAccepts() || (depth_ == 1 && field_ != Field::kOther);
    return !looked_at || Fail(Errc::kInvalid, std::string(what) + " where it does not belong");
  }
  bool Number(std::int64_t value) {
    if (InAccepts()) {
      if (value < std::numeric_limits<std::int32_t>::min() ||
          value > std::numeric_limits<std::int32_t>::max()) {
        return Other("an operation out of range");
      }
      return AddAccept(static_cast<std::int32_t>(value));
    }
    if (depth_ != 1 || field_ != Field::kMid) return Other("a number");
    out_->mid = value;
    return true;
  }
  bool AddAccept(std::int32_t op) {
    if (out_->accepts.size() >= GoimToken::kAcceptsMax) {
      return Fail(Errc::kOverloaded, "more than 1024 operations in accepts");
    }
    out_->accepts.push_back(op);
    return true;
  }
  bool Fail(Errc code, std::string text) {
    error_ = {code, std::move(text)};
    return false;
  }

  GoimToken* out_;
  const bool with_token_;
  std::size_t depth_ = 0;
  bool in_accepts_ = false;
  Field field_ = Field::kOther;
  Error error_{Errc::kInvalid, "not JSON"};
};

bool Reader::string(string_t& value) {
  if (depth_ != 1 || InAccepts()) return Other("a string");
  switch (field_) {
    case Field::kKey:
      out_->key = std::move(value);
      return true;
    case Field::kRoom:
      out_->room = std::move(value);
      return true;
    case Field::kToken:
      out_->token = std::move(value);
      return true;
    case Field::kPlatform:
      return true;
    case Field::kOther:
    case Field::kMid:
    case Field::kAccepts:
      break;
  }
  return Other("a string");
}

}  // namespace

std::string RepairUtf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    std::size_t length = 1;
    if (text.front() == '\\') {
      length = CopyEscape(text, &out);
    } else if (const std::size_t whole = Utf8Length(text); whole > 0) {
      out.append(text.substr(0, whole));
      length = whole;
    } else {
      out.append(kReplacement);
    }
    text.remove_prefix(length);
  }
  return out;
}

Result<GoimToken> ParseGoimToken(std::string_view body, bool with_token) {
  GoimToken token;
  // The parser would skip a byte order mark and stop at a zero byte; Go does neither.
  if (body.substr(0, 3) == "\xef\xbb\xbf" || body.find('\0') != std::string_view::npos) {
    return Error{Errc::kInvalid, "not JSON"};
  }
  Reader reader(&token, with_token);
  if (!Json::sax_parse(RepairUtf8(body), &reader)) return reader.error();
  if (token.key.size() > GoimToken::kNameBytesMax) {
    return Error{Errc::kOverloaded, "key is longer than 256 bytes"};
  }
  if (token.room.size() > GoimToken::kNameBytesMax) {
    return Error{Errc::kOverloaded, "room_id is longer than 256 bytes"};
  }
  return token;
}

}  // namespace encke::auth

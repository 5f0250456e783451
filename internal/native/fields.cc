#include "native/fields.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <charconv>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include "web/http_server.h"

namespace encke::native {

namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::array<std::string_view, 3> kTextLists = {"keys", "rooms", "exclude_keys"};
constexpr std::array<std::string_view, 2> kIntLists = {"mids", "exclude_mids"};
constexpr std::array<std::string_view, 10> kInts = {
    "epoch", "op",        "ttl_ms",     "speed",      "mid",
    "limit", "after_seq", "before_seq", "after_time", "before_time"};
constexpr std::array<std::string_view, 3> kFlags = {"all", "keep", "report"};

template <class List>
bool In(const List& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

// What does not look like the number it should be stays text, and is refused as such.
Json NumberOf(const std::string& text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size() && !text.empty();
  return whole ? Json(value) : Json(text);
}

// Of the kinds that requests have.
Json ValueOf(const google::protobuf::Message& message,
             const google::protobuf::FieldDescriptor& field,
             std::optional<int> i) {
  using Field = google::protobuf::FieldDescriptor;
  const google::protobuf::Reflection& look = *message.GetReflection();
  switch (field.cpp_type()) {
    case Field::CPPTYPE_INT32:
      return i ? look.GetRepeatedInt32(message, &field, *i) : look.GetInt32(message, &field);
    case Field::CPPTYPE_INT64:
      return i ? look.GetRepeatedInt64(message, &field, *i) : look.GetInt64(message, &field);
    case Field::CPPTYPE_BOOL:
      return i ? look.GetRepeatedBool(message, &field, *i) : look.GetBool(message, &field);
    case Field::CPPTYPE_STRING:
      return i ? look.GetRepeatedString(message, &field, *i) : look.GetString(message, &field);
    case Field::CPPTYPE_MESSAGE:
      return ObjectOf(i ? look.GetRepeatedMessage(message, &field, *i)
                        : look.GetMessage(message, &field));
    default:
      assert(false && "no request has such a field");
      return nullptr;
  }
}

}  // namespace

Fields::Fields(const Json& object, std::string at) : object_(object), at_(std::move(at)) {
  if (!object.is_object()) Refuse("", "must be an object");
}

void Fields::Refuse(std::string_view name, std::string text) {
  if (fault_) return;
  std::string field = at_ + std::string(name);
  if (name.empty() && field.ends_with('.')) field.pop_back();
  fault_ = Fault{std::move(field), std::move(text)};
}

const Json* Fields::Find(const char* name) {
  asked_.insert(name);
  if (fault_) return nullptr;
  const auto found = object_.find(name);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

const Json* Fields::Raw(const char* name) { return Find(name); }
bool Fields::Has(const char* name) { return Find(name) != nullptr; }

void Fields::Int(const char* name, std::int64_t* out, std::int64_t low, std::int64_t high) {
  const Json* value = Find(name);
  if (value == nullptr) return;
  const bool whole = value->is_number_integer() &&
                     !(value->is_number_unsigned() && value->get<std::uint64_t>() > INT64_MAX);
  if (!whole || value->get<std::int64_t>() < low || value->get<std::int64_t>() > high) {
    return Refuse(name, fmt::format("must be a whole number from {} to {}", low, high));
  }
  *out = value->get<std::int64_t>();
}

void Fields::Int(const char* name, std::int32_t* out, std::int64_t low, std::int64_t high) {
  std::int64_t wide = *out;
  Int(name, &wide, low, high);
  *out = static_cast<std::int32_t>(wide);
}

void Fields::Flag(const char* name, bool* out) {
  const Json* value = Find(name);
  if (value == nullptr) return;
  if (!value->is_boolean()) return Refuse(name, "must be true or false");
  *out = value->get<bool>();
}

void Fields::Text(const char* name, std::string* out, std::size_t bytes_max) {
  const Json* value = Find(name);
  if (value == nullptr) return;
  if (!value->is_string()) return Refuse(name, "must be text");
  const auto& text = value->get_ref<const std::string&>();
  if (text.size() > bytes_max) {
    return Refuse(name, fmt::format("must not be longer than {} bytes", bytes_max));
  }
  *out = text;
}

void Fields::Texts(const char* name,
                   std::vector<std::string>* out,
                   std::size_t count_max,
                   std::size_t bytes_max) {
  const Json* list = Find(name);
  if (list == nullptr) return;
  const std::string rule =
      fmt::format("must be a list of 1 to {} texts of 1 to {} bytes", count_max, bytes_max);
  if (!list->is_array() || list->empty() || list->size() > count_max) return Refuse(name, rule);
  for (const Json& item : *list) {
    if (!item.is_string()) return Refuse(name, rule);
    const auto& text = item.get_ref<const std::string&>();
    if (text.empty() || text.size() > bytes_max) return Refuse(name, rule);
    out->push_back(text);
  }
}

void Fields::Ints(const char* name, std::vector<std::int64_t>* out, std::size_t count_max) {
  const Json* list = Find(name);
  if (list == nullptr) return;
  const std::string rule =
      fmt::format("must be a list of 1 to {} whole numbers above 0", count_max);
  if (!list->is_array() || list->empty() || list->size() > count_max) return Refuse(name, rule);
  for (const Json& item : *list) {
    const bool whole = item.is_number_integer() &&
                       !(item.is_number_unsigned() && item.get<std::uint64_t>() > INT64_MAX);
    if (!whole || item.get<std::int64_t>() <= 0) return Refuse(name, rule);
    out->push_back(item.get<std::int64_t>());
  }
}

std::optional<Fault> Fields::Finish() {
  if (fault_) return fault_;
  for (const auto& [name, value] : object_.items()) {
    if (!asked_.contains(name)) {
      Refuse(name, "is not known here");
      break;
    }
  }
  return fault_;
}

Result<Json> ParseObject(std::string_view body) {
  Json json = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return Error{Errc::kInvalid, "the body is not JSON"};
  if (!json.is_object()) return Error{Errc::kInvalid, "the body is not a JSON object"};
  return json;
}

Json ObjectOf(std::string_view query) {
  Json object = Json::object();
  for (auto& [name, value] : web::ParseQuery(query)) {
    if (!ValidUtf8(name)) continue;
    if (In(kTextLists, name) || name == "exclude_platforms") {
      object[name].push_back(value);
    } else if (In(kIntLists, name)) {
      object[name].push_back(NumberOf(value));
    } else if (In(kInts, name)) {
      object[name] = NumberOf(value);
    } else if (In(kFlags, name) && (value == "true" || value == "false")) {
      object[name] = value == "true";
    } else {
      object[name] = value;
    }
  }
  return object;
}

Json ObjectOf(const google::protobuf::Message& message) {
  const google::protobuf::Reflection& look = *message.GetReflection();
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  look.ListFields(message, &fields);
  Json object = Json::object();
  for (const auto* field : fields) {
    Json& value = object[field->name()];
    if (!field->is_repeated()) {
      value = ValueOf(message, *field, std::nullopt);
      continue;
    }
    for (int i = 0; i < look.FieldSize(message, field); ++i)
      value.push_back(ValueOf(message, *field, i));
  }
  return object;
}

bool ValidUtf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t more = lead < 0x80 ? 0 : lead >> 5 == 6 ? 1 : lead >> 4 == 14 ? 2 : 3;
    if (lead >= 0x80 && (lead < 0xc2 || lead > 0xf4)) return false;
    if (i + more >= text.size()) return false;
    std::uint32_t rune = more == 0 ? lead : lead & (0x3fU >> more);
    for (std::size_t n = 1; n <= more; ++n) {
      const auto next = static_cast<unsigned char>(text[i + n]);
      if (next >> 6 != 2) return false;
      rune = rune << 6 | (next & 0x3fU);
    }
    const bool overlong = (more == 2 && rune < 0x800) || (more == 3 && rune < 0x10000);
    if (overlong || rune > 0x10ffff || (rune >= 0xd800 && rune < 0xe000)) return false;
    i += more + 1;
  }
  return true;
}

std::string Base64(std::string_view bytes) {
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t bits = 0;
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    for (std::size_t n = 0; n < 3; ++n)
      bits = bits << 8 | (n < count ? static_cast<unsigned char>(bytes[i + n]) : 0U);
    for (std::size_t n = 0; n < 4; ++n)
      out += n <= count ? kAlphabet[bits >> (18 - 6 * n) & 63] : '=';
  }
  return out;
}

std::optional<std::string> FromBase64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::string out;
  for (std::size_t i = 0; i < text.size(); i += 4) {
    std::uint32_t bits = 0;
    std::size_t padding = 0;
    for (std::size_t n = 0; n < 4; ++n) {
      const char c = text[i + n];
      const bool last = i + 4 == text.size();
      if (c == '=' && last && n >= 2) {
        ++padding;
        bits <<= 6;
        continue;
      }
      const auto value = kAlphabet.find(c);
      if (value == std::string_view::npos || padding > 0) return std::nullopt;
      bits = bits << 6 | static_cast<std::uint32_t>(value);
    }
    for (std::size_t n = 0; n < 3 - padding; ++n)
      out += static_cast<char>(bits >> (16 - 8 * n) & 0xff);
  }
  return out;
}

}  // namespace encke::native

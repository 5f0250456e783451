#pragma once
// Fields: one JSON object, read field by field; the first thing that is wrong is kept with the name
// of its field.  A raw request's query is made into such an object first.
//
// Owner    the function that reads a request.
// Thread   one.
// Limit    as given with each field.

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/result.h"

namespace google::protobuf {
class Message;
}  // namespace google::protobuf

namespace encke::native {

using Json = nlohmann::json;

struct Fault {
  std::string field;  // empty: the request as a whole
  std::string text;
};

class Fields {
 public:
  // at: what stands before every name in complaints, e.g. "pushes[3]."
  explicit Fields(const Json& object, std::string at = "");

  bool Has(const char* name);
  void Int(const char* name, std::int64_t* out, std::int64_t low, std::int64_t high);
  void Int(const char* name, std::int32_t* out, std::int64_t low, std::int64_t high);
  void Flag(const char* name, bool* out);
  void Text(const char* name, std::string* out, std::size_t bytes_max);
  void Texts(const char* name,
             std::vector<std::string>* out,
             std::size_t count_max,
             std::size_t bytes_max);
  void Ints(const char* name, std::vector<std::int64_t>* out, std::size_t count_max);  // above 0
  const Json* Raw(const char* name);  // null: not there

  void Refuse(std::string_view name, std::string text);
  bool good() const { return !fault_; }
  // Whatever was not asked for is a fault, too.
  std::optional<Fault> Finish();

 private:
  const Json* Find(const char* name);

  const Json& object_;
  const std::string at_;
  std::set<std::string, std::less<>> asked_;
  std::optional<Fault> fault_;
};

// An object from the body, or why not.
Result<Json> ParseObject(std::string_view body);
// The query as an object: lists are repeated parameters, numbers and true/false are recognized by
// the fields' kinds in fields.cc; unknown names are kept as text, to be refused by name.
Json ObjectOf(std::string_view query);

// The fields that are set, under their names.
Json ObjectOf(const google::protobuf::Message& message);

bool ValidUtf8(std::string_view text);
std::string Base64(std::string_view bytes);
std::optional<std::string> FromBase64(std::string_view text);

}  // namespace encke::native

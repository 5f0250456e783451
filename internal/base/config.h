#pragma once
// ConfigReader: one YAML file into one struct; a key is one row.  The only home of yaml-cpp.
//
//   ConfigReader in;
//   if (auto s = in.Open(path); !s) ...
//   in.Key("session.outbox_bytes_max", &out.outbox_bytes_max, 4096, 1 << 24);
//   in.Key("redis.address", &out.redis.address);
//   Status s = in.Finish();   // unknown keys, duplicates, bad values: first error, with its line
//
// A key that is absent keeps the struct's default.  The environment wins over the file:
// ENCKE_ + the key in capitals with '.' as '_' (ENCKE_SESSION_OUTBOX_BYTES_MAX); lists are split
// at commas.  Durations are written "250ms", "8s", "4m", "2h", "14d"; sizes "64k", "8m", "1g" or
// plain.
//
// Owner    the LoadConfig function that makes it.
// Thread   one.
// Limit    a file of 1 MiB.

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace encke {

class ConfigReader {
 public:
  ConfigReader();
  ~ConfigReader();
  ConfigReader(const ConfigReader&) = delete;
  ConfigReader& operator=(const ConfigReader&) = delete;

  Status Open(const std::string& path);    // the file
  Status OpenText(std::string_view text);  // the same from memory, for tests and fuzzing

  void Key(std::string_view name, bool* out);
  void Key(std::string_view name, std::string* out);
  void Key(std::string_view name, std::vector<std::string>* out);
  void Key(std::string_view name, std::map<std::string, std::vector<std::string>>* out);
  void Key(std::string_view name, double* out, double low, double high);
  void Key(std::string_view name, int* out, std::int64_t low, std::int64_t high);
  void Key(std::string_view name, std::int64_t* out, std::int64_t low, std::int64_t high);
  void Key(std::string_view name, std::size_t* out, std::int64_t low, std::int64_t high);
  void Key(std::string_view name,
           std::chrono::milliseconds* out,
           std::chrono::milliseconds low,
           std::chrono::milliseconds high);
  // Names one level below `name`, for tables whose keys are the user's to choose; each of them may
  // be an empty table.  A name with a dot in it is refused.  The environment adds names.
  std::vector<std::string> Children(std::string_view name);
  // The file or the environment says something about this key, or the environment below it.
  bool Given(std::string_view name) const;
  // What the file says, by key, as text; without those where the environment has the word.
  std::map<std::string, std::string> Said() const;
  // A complaint about a key that was read, with its line.
  void Refuse(std::string_view name, std::string_view why);
  // One of the listed words.
  void Choice(std::string_view name, std::string* out, const std::vector<std::string>& words);

  Status Finish();

 private:
  struct State;
  void Fail(std::string_view name, std::string_view value, std::string_view why);
  bool Scalar(std::string_view name, std::string* text);
  void Integer(std::string_view name,
               std::int64_t low,
               std::int64_t high,
               const std::function<void(std::int64_t)>& set);

  std::unique_ptr<State> state_;
};

}  // namespace encke

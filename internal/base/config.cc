#include "base/config.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>

#include <fmt/core.h>
#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include "base/units.h"

namespace encke {
namespace {

constexpr std::size_t kFileBytesMax = 1 << 20;

std::string EnvName(std::string_view key) {
  std::string name = "ENCKE_";
  for (const char c : key) {
    name += c == '.' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  }
  return name;
}

std::vector<std::string> SplitCommas(const std::string& text) {
  std::vector<std::string> parts;
  std::stringstream in(text);
  for (std::string part; std::getline(in, part, ',');) {
    if (!part.empty()) parts.push_back(part);
  }
  return parts;
}

}  // namespace

struct ConfigReader::State {
  std::string path;
  std::map<std::string, YAML::Node> leaves;  // dotted name -> scalar, list or map of lists
  std::set<std::string> asked;
  std::optional<Error> first;

  int LineOf(const std::string& name) const {
    const auto it = leaves.find(name);
    return it == leaves.end() ? 0 : it->second.Mark().line + 1;
  }
  void Refuse(std::string text) {
    if (!first) first = Error{Errc::kInvalid, std::move(text)};
  }
  // Duplicate keys are silently accepted by yaml-cpp (the first wins), so we look ourselves.
  void Flatten(const YAML::Node& node, const std::string& prefix) {
    std::set<std::string> seen;
    for (const auto& pair : node) {
      if (!pair.first.IsScalar()) {
        return Refuse(fmt::format("{}:{}: a key must be a word", path, pair.first.Mark().line + 1));
      }
      const std::string name =
          prefix.empty() ? pair.first.Scalar() : prefix + "." + pair.first.Scalar();
      if (!seen.insert(name).second) {
        return Refuse(
            fmt::format("{}:{}: {}: given twice", path, pair.first.Mark().line + 1, name));
      }
      leaves[name] = pair.second;
      if (pair.second.IsMap()) {
        Flatten(pair.second, name);
      }
    }
  }
};

ConfigReader::ConfigReader() : state_(std::make_unique<State>()) {}
ConfigReader::~ConfigReader() = default;

Status ConfigReader::Open(const std::string& path) {
  state_->path = path;
  std::ifstream file(path, std::ios::binary);
  if (!file) return Error{Errc::kNotFound, path + ": cannot be read"};
  std::string text(kFileBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > kFileBytesMax) return Error{Errc::kInvalid, path + ": larger than 1 MiB"};
  return OpenText(text);
}

Status ConfigReader::OpenText(std::string_view text) {
  if (state_->path.empty()) state_->path = "config";
  try {
    const YAML::Node root = YAML::Load(std::string(text));
    if (root.IsNull()) return Ok{};
    if (!root.IsMap()) return Error{Errc::kInvalid, state_->path + ": not a table of keys"};
    state_->Flatten(root, "");
  } catch (const YAML::Exception& e) {
    return Error{Errc::kInvalid, fmt::format("{}:{}: {}", state_->path, e.mark.line + 1, e.msg)};
  }
  if (state_->first) return *state_->first;
  return Ok{};
}

void ConfigReader::Fail(std::string_view name, std::string_view value, std::string_view why) {
  const std::string key(name);
  const std::string env = EnvName(name);
  if (std::getenv(env.c_str()) != nullptr) {
    return state_->Refuse(fmt::format("{} (for {}): \"{}\" {}", env, key, value, why));
  }
  state_->Refuse(
      fmt::format("{}:{}: {}: \"{}\" {}", state_->path, state_->LineOf(key), key, value, why));
}

std::map<std::string, std::string> ConfigReader::Said() const {
  std::map<std::string, std::string> said;
  for (const auto& [name, node] : state_->leaves) {
    const bool counts =
        state_->asked.contains(name) && std::getenv(EnvName(name).c_str()) == nullptr;
    if (counts) said[name] = YAML::Dump(node);
  }
  return said;
}

bool ConfigReader::Scalar(std::string_view name, std::string* text) {
  const std::string key(name);
  state_->asked.insert(key);
  if (const char* env = std::getenv(EnvName(name).c_str()); env != nullptr) {
    *text = env;
    return true;
  }
  const auto it = state_->leaves.find(key);
  if (it == state_->leaves.end() || it->second.IsNull()) return false;
  if (!it->second.IsScalar()) {
    Fail(name, "", "must be one value, not a list or table");
    return false;
  }
  *text = it->second.Scalar();
  return true;
}

void ConfigReader::Key(std::string_view name, bool* out) {
  std::string text;
  if (!Scalar(name, &text)) return;
  if (text != "true" && text != "false") return Fail(name, text, "is not true or false");
  *out = text == "true";
}

void ConfigReader::Key(std::string_view name, std::string* out) { Scalar(name, out); }

void ConfigReader::Key(std::string_view name, std::vector<std::string>* out) {
  const std::string key(name);
  state_->asked.insert(key);
  if (const char* env = std::getenv(EnvName(name).c_str()); env != nullptr) {
    *out = SplitCommas(env);
    return;
  }
  const auto it = state_->leaves.find(key);
  if (it == state_->leaves.end() || it->second.IsNull()) return;
  if (!it->second.IsSequence()) return Fail(name, "", "must be a list: [a, b]");
  std::vector<std::string> list;
  for (const auto& item : it->second) {
    if (!item.IsScalar()) return Fail(name, "", "must be a list of plain values");
    list.push_back(item.Scalar());
  }
  *out = std::move(list);
}

void ConfigReader::Key(std::string_view name,
                       std::map<std::string, std::vector<std::string>>* out) {
  const std::string key(name);
  state_->asked.insert(key);
  const auto it = state_->leaves.find(key);
  if (it == state_->leaves.end() || it->second.IsNull()) return;
  if (!it->second.IsMap()) return Fail(name, "", "must be a table of lists");
  std::map<std::string, std::vector<std::string>> table;
  for (const auto& pair : it->second) {
    state_->asked.insert(key + "." + pair.first.Scalar());
    if (!pair.second.IsSequence()) return Fail(name, pair.first.Scalar(), "must be a list: [a, b]");
    for (const auto& item : pair.second) {
      if (!item.IsScalar())
        return Fail(name, pair.first.Scalar(), "must be a list of plain values");
      table[pair.first.Scalar()].push_back(item.Scalar());
    }
  }
  *out = std::move(table);
}

void ConfigReader::Key(std::string_view name, double* out, double low, double high) {
  std::string text;
  if (!Scalar(name, &text)) return;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() ||
      !(value >= low && value <= high)) {
    return Fail(name, text, fmt::format("is not a number from {} to {}", low, high));
  }
  *out = value;
}

void ConfigReader::Integer(std::string_view name,
                           std::int64_t low,
                           std::int64_t high,
                           const std::function<void(std::int64_t)>& set) {
  std::string text;
  if (!Scalar(name, &text)) return;
  const auto value = ParseSize(text);
  if (!value || *value < low || *value > high) {
    return Fail(name, text, fmt::format("is not a whole number from {} to {}", low, high));
  }
  set(*value);
}

void ConfigReader::Key(std::string_view name, int* out, std::int64_t low, std::int64_t high) {
  Integer(name, low, high, [out](std::int64_t v) { *out = static_cast<int>(v); });
}

void ConfigReader::Key(std::string_view name,
                       std::int64_t* out,
                       std::int64_t low,
                       std::int64_t high) {
  Integer(name, low, high, [out](std::int64_t v) { *out = v; });
}

void ConfigReader::Key(std::string_view name,
                       std::size_t* out,
                       std::int64_t low,
                       std::int64_t high) {
  Integer(name, low, high, [out](std::int64_t v) { *out = static_cast<std::size_t>(v); });
}

void ConfigReader::Key(std::string_view name,
                       std::chrono::milliseconds* out,
                       std::chrono::milliseconds low,
                       std::chrono::milliseconds high) {
  std::string text;
  if (!Scalar(name, &text)) return;
  const auto value = ParseDuration(text);
  if (!value || *value < low || *value > high) {
    return Fail(name, text,
                fmt::format("is not a time from {} to {} (write 250ms, 8s, 4m, 2h, 14d)",
                            PrintDuration(low), PrintDuration(high)));
  }
  *out = *value;
}

std::vector<std::string> ConfigReader::Children(std::string_view name) {
  const std::string key(name);
  state_->asked.insert(key);
  std::vector<std::string> names;
  const char* env = std::getenv(EnvName(name).c_str());
  if (env != nullptr) names = SplitCommas(env);
  const auto it = state_->leaves.find(key);
  if (it == state_->leaves.end() || it->second.IsNull()) return names;
  if (!it->second.IsMap()) {
    Fail(name, "", "must be a table");
    return {};
  }
  const std::string prefix = key + ".";
  for (const auto& pair : it->second) {
    const std::string child = pair.first.Scalar();
    if (child.empty() || child.find('.') != std::string::npos) {
      Fail(name, child, "is not a name: it has a dot or no letters");
      return {};
    }
    if (pair.second.IsNull() || (pair.second.IsMap() && pair.second.size() == 0)) {
      state_->asked.insert(prefix + child);
    }
    if (std::find(names.begin(), names.end(), child) == names.end()) names.push_back(child);
  }
  return names;
}

bool ConfigReader::Given(std::string_view name) const {
  const std::string key(name);
  if (state_->leaves.contains(key)) return true;
  const std::string env = EnvName(name);
  for (char** line = environ; *line != nullptr; ++line) {
    const std::string_view text(*line);
    if (text.starts_with(env + "=") || text.starts_with(env + "_")) return true;
  }
  return false;
}

void ConfigReader::Refuse(std::string_view name, std::string_view why) {
  const std::string key(name);
  state_->Refuse(fmt::format("{}:{}: {}: {}", state_->path, state_->LineOf(key), key, why));
}

void ConfigReader::Choice(std::string_view name,
                          std::string* out,
                          const std::vector<std::string>& words) {
  std::string text;
  if (!Scalar(name, &text)) return;
  if (std::find(words.begin(), words.end(), text) != words.end()) {
    *out = text;
    return;
  }
  std::string known;
  for (const auto& word : words)
    known += (known.empty() ? "" : ", ") + word;
  Fail(name, text, "is not one of: " + known);
}

Status ConfigReader::Finish() {
  for (const auto& [name, node] : state_->leaves) {
    if (state_->asked.contains(name)) continue;
    const bool has_known =  // clang 14 cannot capture a structured binding by name alone
        std::any_of(state_->asked.begin(), state_->asked.end(),
                    [prefix = name + "."](const auto& key) { return key.starts_with(prefix); });
    if (has_known && (node.IsMap() || node.IsNull())) continue;
    state_->Refuse(fmt::format("{}:{}: {}: unknown key", state_->path, node.Mark().line + 1, name));
  }
  if (state_->first) return *state_->first;
  return Ok{};
}

}  // namespace encke

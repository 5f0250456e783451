#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  encke::ConfigReader in;
  if (!in.OpenText({reinterpret_cast<const char*>(data), size})) return 0;
  std::string text;
  std::vector<std::string> list;
  std::map<std::string, std::vector<std::string>> table;
  std::chrono::milliseconds time{0};
  in.Key("a", &text);
  in.Key("b", &list);
  in.Key("c", &table);
  in.Key("d.e", &time, std::chrono::milliseconds(1), std::chrono::milliseconds(1000));
  (void)in.Finish().has_value();
  return 0;
}

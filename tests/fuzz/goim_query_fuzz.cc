// Parameters of the HTTP API, and the texts they come back in.

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "goim/go_text.h"
#include "goim/query.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using encke::goim::Need;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  encke::goim::Query query(text);
  query.Int32("o", "Op", Need::kRequired);
  query.Int64("l", "Limit");
  query.Int64s("m");
  query.Text("t", "Type", Need::kRequired);
  query.Texts("r", "Rooms", Need::kRequired);
  const std::string json = encke::goim::GoJson(query.error());
  assert(json.size() >= 2 && json.find('\n') == std::string::npos);
  std::int64_t value = 0;
  if (encke::goim::ParseGoInt(text, 32, &value).empty()) {
    assert(value >= INT32_MIN && value <= INT32_MAX);
  }
  return 0;
}

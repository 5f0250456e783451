// The request parser: whatever comes, it takes at most what it was given, and a head that comes in
// two pieces is read like one that comes whole.

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "web/http_message.h"

namespace {

struct Outcome {
  encke::web::HeadParsed what;
  std::size_t consumed = 0;
  int status = 0;
};

Outcome Parse(std::string_view text, std::size_t* scanned) {
  encke::web::HttpHead head;
  Outcome out{};
  out.what = encke::web::ParseHead(text, 4096, scanned, &head, &out.consumed, &out.status);
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using encke::web::HeadParsed;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::size_t fresh = 0;
  const Outcome whole = Parse(text, &fresh);
  assert(whole.consumed <= size);
  if (whole.what == HeadParsed::kRefused) assert(whole.status >= 400 && whole.status < 600);
  const std::size_t cut = size == 0 ? 0 : data[0] % size;
  std::size_t scanned = 0;
  if (Parse(text.substr(0, cut), &scanned).what == HeadParsed::kNeedMore) {
    const Outcome again = Parse(text, &scanned);
    assert(again.what == whole.what && again.consumed == whole.consumed);
  }
  std::string body;
  std::size_t taken = 0;
  (void)encke::web::TakeChunks(text, 512, &body, &taken);
  assert(taken <= size && body.size() <= 512 && body.size() <= taken);
  encke::web::ParseQuery(text);
  encke::web::DecodePath(text);
  return 0;
}

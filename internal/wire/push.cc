#include "wire/push.h"

#include "wire/op.h"
#include "wire/package.h"

namespace encke::wire {
namespace {

enum Field : std::uint32_t {
  kRoom = 1,
  kEpoch = 2,
  kSeq = 3,
  kOp = 4,
  kBody = 5,
  kId = 6,
  kTime = 7,
  kFrom = 8,
  kClientId = 9,
};

constexpr std::uint32_t kVarint = 0;
constexpr std::uint32_t kBytes = 2;

std::size_t VarintBytes(std::uint64_t value) {
  std::size_t bytes = 1;
  for (; value >= 0x80; value >>= 7)
    ++bytes;
  return bytes;
}

// Every field number is below 16, so a tag is one byte.  Zero and empty are left out.
std::size_t NumberBytes(std::uint64_t value) { return value == 0 ? 0 : 1 + VarintBytes(value); }
std::size_t TextBytes(std::string_view text) {
  return text.empty() ? 0 : 1 + VarintBytes(text.size()) + text.size();
}

// Negative numbers are sign-extended to 64 bits, as protobuf wants it.
std::uint64_t Wide(std::int64_t value) { return static_cast<std::uint64_t>(value); }

void PutVarint(std::string* out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7)
    out->push_back(static_cast<char>(value | 0x80));
  out->push_back(static_cast<char>(value));
}

void PutNumber(std::string* out, Field field, std::uint64_t value) {
  if (value == 0) return;
  out->push_back(static_cast<char>(field << 3 | kVarint));
  PutVarint(out, value);
}

void PutText(std::string* out, Field field, std::string_view text) {
  if (text.empty()) return;
  out->push_back(static_cast<char>(field << 3 | kBytes));
  PutVarint(out, text.size());
  out->append(text);
}

std::size_t BodyBytes(const Push& push) {
  return TextBytes(push.room) + NumberBytes(push.epoch) + NumberBytes(push.seq) +
         NumberBytes(Wide(push.op)) + TextBytes(push.body) + TextBytes(push.id) +
         NumberBytes(Wide(push.time_us)) + NumberBytes(Wide(push.from_mid)) +
         TextBytes(push.client_id);
}

}  // namespace

void AppendPush1(std::string* out, const Push& push) {
  AppendPackage(out, {.ver = 1, .op = push.op, .seq = 0, .body = push.body});
}

void AppendPush2(std::string* out, const Push& push) {
  AppendHeader(out, 2, kOpPush, 0, BodyBytes(push));
  PutText(out, kRoom, push.room);
  PutNumber(out, kEpoch, push.epoch);
  PutNumber(out, kSeq, push.seq);
  PutNumber(out, kOp, Wide(push.op));
  PutText(out, kBody, push.body);
  PutText(out, kId, push.id);
  PutNumber(out, kTime, Wide(push.time_us));
  PutNumber(out, kFrom, Wide(push.from_mid));
  PutText(out, kClientId, push.client_id);
}

}  // namespace encke::wire

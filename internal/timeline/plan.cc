#include "timeline/plan.h"

#include <algorithm>
#include <charconv>

#include "api/push.pb.h"

#include "base/units.h"

namespace encke::timeline {

namespace {

using std::chrono::hours;
using std::chrono::seconds;

constexpr std::string_view kInboxType = "user";
constexpr std::string_view kBetween = "://";
constexpr std::size_t kTypeBytesMax = 32;

bool GoodType(std::string_view type) {
  return !type.empty() && type.size() <= kTypeBytesMax &&
         std::all_of(type.begin(), type.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-';
         });
}

void ReadKept(ConfigReader& in, const std::string& at, KeptOptions* out) {
  in.Key(at + ".messages", &out->hot.messages, 1, 100'000);
  in.Key(at + ".age", &out->hot.age, seconds(1), hours(24 * 365));
  in.Key(at + ".bytes", &out->hot.bytes, 1024, 1024 * kMega);
  if (!in.Given(at + ".durable")) return;
  DurableOptions durable;
  in.Key(at + ".durable.age", &durable.age, hours(1), hours(24 * 365 * 20));
  in.Key(at + ".durable.bytes", &durable.bytes, kMega, kMega * kMega * 16);
  in.Key(at + ".durable.replicas", &durable.replicas, 1, 5);
  if (durable.age < out->hot.age) in.Refuse(at + ".durable.age", "must not be shorter than age");
  out->durable = durable;
}

}  // namespace

TimelinePlan::TimelinePlan() { inbox.hot.age = hours(24 * 14); }

const KeptOptions* TimelinePlan::Of(std::string_view name) const {
  if (name.size() > kNameBytesMax) return nullptr;
  if (IsInbox(name)) return OwnerOf(name).value() > 0 ? &inbox : nullptr;
  const auto found = types.find(TypeOf(name));
  return found == types.end() ? nullptr : &found->second;
}

void ReadPlan(ConfigReader& in, TimelinePlan* out) {
  for (const std::string& type : in.Children("rooms")) {
    const std::string at = "rooms." + type;
    if (!GoodType(type)) in.Refuse(at, "a type has 1 to 32 letters, digits, - and _");
    if (type == kInboxType) in.Refuse(at, "the type \"user\" is that of inboxes: see inbox");
    if (!in.Given(at + ".history")) continue;
    in.Children(at + ".history");
    ReadKept(in, at + ".history", &out->types[type]);
  }
  ReadKept(in, "inbox", &out->inbox);
}

std::string InboxOf(Mid mid) {
  return std::string(kInboxType) + std::string(kBetween) + std::to_string(mid.value());
}

std::string_view TypeOf(std::string_view room) {
  const auto end = room.find(kBetween);
  return end == std::string_view::npos ? std::string_view() : room.substr(0, end);
}

bool IsInbox(std::string_view name) { return TypeOf(name) == kInboxType; }

Mid OwnerOf(std::string_view inbox) {
  if (!IsInbox(inbox)) return Mid(0);
  const std::string_view digits = inbox.substr(kInboxType.size() + kBetween.size());
  std::int64_t mid = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), mid);
  const bool whole = error == std::errc() && end == digits.data() + digits.size();
  return Mid(whole && mid > 0 && InboxOf(Mid(mid)) == inbox ? mid : 0);
}

std::string_view WhyNoRoom(std::string_view room) {
  if (room.size() > kNameBytesMax) return "is longer than 256 bytes";
  const std::string_view type = TypeOf(room);
  if (type.empty() || type.size() + kBetween.size() == room.size()) return "is not type://id";
  if (type == kInboxType) return "is of the type \"user\", which is that of inboxes";
  return "";
}

std::string Numbered(std::string payload, std::uint64_t epoch, std::uint64_t seq) {
  PushMsg number;  // of two values of one field the later counts
  number.set_epoch(epoch);
  number.set_seq(seq);
  number.AppendToString(&payload);
  return payload;
}

}  // namespace encke::timeline

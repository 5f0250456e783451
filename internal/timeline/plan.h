#pragma once
// TimelinePlan: which room types have a history, how much of it, and how timelines are named.
//
// A timeline is named by its room, "type://id", or "user://<mid>" for the inbox of a user; the type
// `user` is therefore no room's.
//
// Owner    main, within its config; read-only after that.
// Thread   any.
// Limit    ranges in plan.cc; kNameBytesMax a name.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/config.h"
#include "base/ids.h"
#include "store/timelines.h"

namespace encke::timeline {

constexpr std::size_t kNameBytesMax = 256;

struct DurableOptions {  // what stays beyond the hot timeline
  Duration age{std::chrono::hours(24 * 365)};
  std::int64_t bytes = std::int64_t{10} << 30;
  int replicas = 1;
};

struct KeptOptions {
  store::TimelineLimits hot;
  std::optional<DurableOptions> durable;
};

struct TimelinePlan {
  std::map<std::string, KeptOptions, std::less<>> types;  // those with history
  KeptOptions inbox;

  TimelinePlan();
  // Null: what is said there is not kept.
  const KeptOptions* Of(std::string_view name) const;
};

// Rows `rooms.<type>.history...` and `inbox...` of a daemon's configuration.
void ReadPlan(ConfigReader& in, TimelinePlan* out);

std::string InboxOf(Mid mid);
bool IsInbox(std::string_view name);
// Whose inbox; 0 = it is none, or of nobody.
Mid OwnerOf(std::string_view inbox);
// "live" of "live://1000"; empty: not of that form.
std::string_view TypeOf(std::string_view room);
// Empty: a room of this name may exist; else why not.
std::string_view WhyNoRoom(std::string_view room);
// A timeline's payload (a PushMsg) together with its number.
std::string Numbered(std::string payload, std::uint64_t epoch, std::uint64_t seq);

}  // namespace encke::timeline

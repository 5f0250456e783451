#include "native/read.h"

#include <algorithm>

#include "timeline/plan.h"

namespace encke::native {

namespace {

using push::Push;
using push::To;
using push::What;

constexpr std::size_t kBodyBytesMax = 8 << 20;  // the HTTP server is stricter
constexpr std::size_t kReasonBytesMax = 256;

bool GoodId(std::string_view id) {
  return !id.empty() && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == ':' || c == '-';
  });
}

void ReadRoom(Fields& in, const char* field, const std::string& room, RoomId* out) {
  const std::string_view why = timeline::WhyNoRoom(room);
  if (!why.empty()) in.Refuse(field, std::string(why));
  *out = RoomId(room);
}

void ReadKeysAndMids(Fields& in, Push* out) {
  std::vector<std::string> keys;
  in.Texts("keys", &keys, kKeysMax, kNameBytesMax);
  std::size_t bytes = 0;
  for (std::string& key : keys) {
    bytes += key.size();
    out->keys.emplace_back(std::move(key));
  }
  if (bytes > kListBytesMax) in.Refuse("keys", "must not be longer than 262144 bytes together");
  std::vector<std::int64_t> mids;
  in.Ints("mids", &mids, kKeysMax);
  for (const std::int64_t mid : mids)
    out->mids.emplace_back(mid);
}

void ReadRooms(Fields& in, Push* out) {
  std::string room;
  in.Text("room", &room, kNameBytesMax);
  if (in.Has("room")) ReadRoom(in, "room", room, &out->rooms.emplace_back());
  std::vector<std::string> rooms;
  in.Texts("rooms", &rooms, kRoomsMax, kNameBytesMax);
  std::sort(rooms.begin(), rooms.end());
  rooms.erase(std::unique(rooms.begin(), rooms.end()), rooms.end());
  for (const std::string& one : rooms)
    ReadRoom(in, "rooms", one, &out->rooms.emplace_back());
}

// Exactly one of the names.
const char* OnlyOne(Fields& in, const std::vector<const char*>& names) {
  const char* found = nullptr;
  std::string all;
  for (const char* name : names) {
    all += (all.empty() ? "" : ", ") + std::string(name);
    if (!in.Has(name)) continue;
    if (found != nullptr) in.Refuse(name, "there is a target already: " + std::string(found));
    found = name;
  }
  if (found == nullptr) in.Refuse("", "no target: say one of " + all);
  return found;
}

void ReadTarget(Fields& in, Push* out) {
  const std::string target = [&] {
    const char* name = OnlyOne(in, {"keys", "mids", "room", "rooms", "all"});
    return std::string(name == nullptr ? "" : name);
  }();
  out->to = target == "keys"   ? To::kKeys
            : target == "mids" ? To::kMids
            : target == "all"  ? To::kAll
                               : To::kRooms;
  ReadKeysAndMids(in, out);
  ReadRooms(in, out);
  bool all = true;
  in.Flag("all", &all);
  if (!all) in.Refuse("all", "must be true");
  in.Int("speed", &out->speed, 0, 1'000'000'000);
  if (in.Has("speed") && out->to != To::kAll) in.Refuse("speed", "goes with all only");
}

void ReadBody(Fields& in, std::string* raw, Push* out) {
  if (raw != nullptr) {
    out->body = std::move(*raw);
    return;
  }
  in.Text("body", &out->body, kBodyBytesMax);
  std::string coded;
  in.Text("body_base64", &coded, kBodyBytesMax);
  if (in.Has("body") && in.Has("body_base64")) {
    return in.Refuse("body_base64", "there is a body already");
  }
  if (!in.Has("body_base64")) return;
  auto bytes = FromBase64(coded);
  if (!bytes) return in.Refuse("body_base64", "is not base64");
  out->body = std::move(*bytes);
}

void ReadManner(Fields& in, Push* out) {
  if (!in.Has("op")) in.Refuse("op", "is missing");
  in.Int("op", &out->op, 0, INT32_MAX);
  in.Int("ttl_ms", &out->ttl_ms, 1, kTtlMax);
  in.Flag("keep", &out->keep);
  if (out->keep && out->to != To::kMids) in.Refuse("keep", "goes with mids only");
  in.Flag("report", &out->report);
  in.Text("conflate", &out->conflate, 128);
  if (in.Has("conflate") && out->conflate.empty()) in.Refuse("conflate", "must not be empty");
  in.Texts("exclude_keys", &out->exclude_keys, kExcludedMax, kNameBytesMax);
  in.Ints("exclude_mids", &out->exclude_mids, kExcludedMax);
  in.Texts("exclude_platforms", &out->exclude_platforms, 16, 32);
  std::string id;
  in.Text("idempotency_key", &id, 128);
  if (!in.Has("idempotency_key")) return;
  if (!GoodId(id)) in.Refuse("idempotency_key", "must be letters, digits, . _ : and -");
  out->id = "k-" + id;
  out->again = true;
}

// Keys or mids, whom a command is for.
void ReadWhom(Fields& in, bool room_too, Push* out) {
  const char* name =
      room_too ? OnlyOne(in, {"keys", "mids", "room"}) : OnlyOne(in, {"keys", "mids"});
  const std::string target = name == nullptr ? "" : name;
  out->to = target == "keys" ? To::kKeys : target == "mids" ? To::kMids : To::kRooms;
  ReadKeysAndMids(in, out);
}

template <class T>
Read<T> Done(Fields& in, T value) {
  if (auto fault = in.Finish()) return *fault;
  return value;
}

void ReadTimeline(Fields& in, std::string* out) {
  std::int64_t mid = 0;
  in.Int("mid", &mid, 1, INT64_MAX);
  std::string room;
  in.Text("room", &room, kNameBytesMax);
  if (in.Has("mid") == in.Has("room")) in.Refuse("room", "say either room or mid");
  if (in.Has("room")) {
    RoomId checked;
    ReadRoom(in, "room", room, &checked);
    *out = room;
  } else {
    *out = timeline::InboxOf(Mid(mid));
  }
}

}  // namespace

Read<Push> ReadPush(const Json& object, const std::string& at, std::string* body) {
  Fields in(object, at);
  Push out;
  ReadTarget(in, &out);
  ReadManner(in, &out);
  ReadBody(in, body, &out);
  return Done(in, std::move(out));
}

std::string PlaceInBatch(std::size_t i) { return "pushes[" + std::to_string(i) + "]."; }

Read<std::vector<Push>> ReadBatch(const Json& object) {
  Fields in(object);
  const Json* list = in.Raw("pushes");
  if (list == nullptr || !list->is_array() || list->empty() || list->size() > kBatchMax) {
    in.Refuse("pushes", "must be a list of 1 to 1000 pushes");
  }
  if (auto fault = in.Finish()) return *fault;
  std::vector<Push> pushes;
  for (std::size_t i = 0; i < list->size(); ++i) {
    auto push = ReadPush((*list)[i], PlaceInBatch(i), nullptr);
    if (auto* fault = std::get_if<Fault>(&push)) return std::move(*fault);
    pushes.push_back(std::move(std::get<Push>(push)));
  }
  return pushes;
}

Read<Push> ReadKick(const Json& object) {
  Fields in(object);
  Push out;
  out.what = What::kKick;
  ReadWhom(in, /*room_too=*/true, &out);
  ReadRooms(in, &out);
  in.Text("reason", &out.body, kReasonBytesMax);
  return Done(in, std::move(out));
}

Read<Push> ReadMove(const Json& object, What what) {
  Fields in(object);
  Push out;
  out.what = what;
  ReadWhom(in, /*room_too=*/false, &out);
  std::string room;
  in.Text("room", &room, kNameBytesMax);
  if (!in.Has("room")) in.Refuse("room", "is missing");
  ReadRoom(in, "room", room, &out.room);
  return Done(in, std::move(out));
}

Read<timeline::HistoryQuery> ReadHistory(std::string_view query) {
  const Json object = ObjectOf(query);
  Fields in(object);
  timeline::HistoryQuery out;
  ReadTimeline(in, &out.timeline);
  std::int64_t after = 0;
  std::int64_t before = 0;
  std::int64_t limit = static_cast<std::int64_t>(out.limit);
  in.Int("after_seq", &after, 0, INT64_MAX);
  in.Int("before_seq", &before, 1, INT64_MAX);
  in.Int("after_time", &out.after_ms, 0, INT64_MAX);
  in.Int("before_time", &out.before_ms, 1, INT64_MAX);
  in.Int("limit", &limit, 1, 1000);
  std::int64_t epoch = 0;
  in.Int("epoch", &epoch, 1, INT64_MAX);
  out.epoch = static_cast<std::uint64_t>(epoch);
  const int borders =
      static_cast<int>(in.Has("after_seq")) + static_cast<int>(in.Has("before_seq")) +
      static_cast<int>(in.Has("after_time")) + static_cast<int>(in.Has("before_time"));
  if (borders > 1)
    in.Refuse("after_seq", "say one of after_seq, before_seq, after_time, before_time");
  out.after_seq = static_cast<std::uint64_t>(after);
  out.before_seq = static_cast<std::uint64_t>(before);
  out.limit = static_cast<std::size_t>(limit);
  out.newest_first =
      !in.Has("after_seq") && !in.Has("after_time");  // the newest, if nothing is said
  return Done(in, std::move(out));
}

Read<MembersQuery> ReadMembers(std::string_view query) {
  const Json object = ObjectOf(query);
  Fields in(object);
  MembersQuery out;
  in.Text("after", &out.after, kNameBytesMax);
  std::int64_t limit = static_cast<std::int64_t>(out.limit);
  in.Int("limit", &limit, 1, 1000);
  out.limit = static_cast<std::size_t>(limit);
  return Done(in, std::move(out));
}

Read<PurgeQuery> ReadPurge(std::string_view query) {
  const Json object = ObjectOf(query);
  Fields in(object);
  PurgeQuery out;
  ReadTimeline(in, &out.timeline);
  std::int64_t before = 0;
  in.Int("before_seq", &before, 2, INT64_MAX);
  if (in.Has("before_seq")) out.upto = static_cast<std::uint64_t>(before) - 1;
  return Done(in, std::move(out));
}

}  // namespace encke::native

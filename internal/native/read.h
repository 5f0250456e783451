#pragma once
// Reading requests of the native API into what they ask for.
//
// Owner    NativeApi.
// Thread   any; pure functions.
// Limit    the constants below.

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "native/fields.h"
#include "push/push.h"
#include "timeline/history.h"

namespace encke::native {

constexpr std::size_t kKeysMax = 10'000;
constexpr std::size_t kListBytesMax =
    std::size_t{256} * 1024;  // of keys together, so that an entry fits NATS
constexpr std::size_t kRoomsMax = 1000;
constexpr std::size_t kExcludedMax = 1000;
constexpr std::size_t kNameBytesMax = 256;
constexpr std::size_t kBatchMax = 1000;
constexpr std::int64_t kTtlMax = std::int64_t{365} * 24 * 3600 * 1000;

template <class T>
using Read = std::variant<T, Fault>;

// body: null = `body` or `body_base64` is a field, else these bytes.
Read<push::Push> ReadPush(const Json& object, const std::string& at, std::string* body);
// {"pushes": [...]}
Read<std::vector<push::Push>> ReadBatch(const Json& object);
std::string PlaceInBatch(std::size_t i);  // what stands before the names of fields
Read<push::Push> ReadKick(const Json& object);
Read<push::Push> ReadMove(const Json& object, push::What what);  // join or leave

Read<timeline::HistoryQuery> ReadHistory(std::string_view query);

struct MembersQuery {
  std::string after;  // a key
  std::size_t limit = 100;
};
Read<MembersQuery> ReadMembers(std::string_view query);

struct PurgeQuery {
  std::string timeline;
  std::uint64_t upto = 0;  // 0: all
};
Read<PurgeQuery> ReadPurge(std::string_view query);

}  // namespace encke::native

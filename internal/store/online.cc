#include "store/online.h"

#include <charconv>
#include <memory>
#include <utility>

#include "base/threads.h"

namespace encke::store {

namespace {

// KEYS: ol_<comet>, olv_<comet>.  ARGV: expire in ms, "1" = forget the table first, "1" = this is
// the last piece, then room and count in turns.
constexpr char kReport[] = R"lua(
if redis.replicate_commands then redis.replicate_commands() end
if ARGV[2] == '1' then redis.call('DEL', KEYS[1]) end
for i = 4, #ARGV, 2 do
  if ARGV[i + 1] == '0' then
    redis.call('HDEL', KEYS[1], ARGV[i])
  else
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  end
end
if ARGV[3] == '1' and (#ARGV > 3 or ARGV[2] == '1') then
  local clock = redis.call('TIME')
  local version = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
  local before = tonumber(redis.call('GET', KEYS[2]) or '0')
  if before >= version then version = before + 1 end
  redis.call('SET', KEYS[2], string.format('%.0f', version))
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[1])
return 1
)lua";

// KEYS: ol_<comet>, olv_<comet>.  ARGV: the version that is known.
constexpr char kRead[] = R"lua(
local version = redis.call('GET', KEYS[2]) or '-1'
if version == ARGV[1] then return {version} end
return {version, redis.call('HGETALL', KEYS[1])}
)lua";

template <class T>
T Number(const std::string& text, T otherwise) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? value : otherwise;
}

Online::Table ReadTable(const Reply& reply) {
  Online::Table table;
  table.seen.version = Number<std::int64_t>(reply.list[0].text, -1);
  if (reply.list.size() < 2) return table;
  table.changed = true;
  const std::vector<Reply>& pairs = reply.list[1].list;
  for (std::size_t i = 0; i + 1 < pairs.size(); i += 2) {
    const auto count = Number<std::int32_t>(pairs[i + 1].text, 0);
    if (count > 0) table.seen.rooms.emplace(pairs[i].text, count);
  }
  return table;
}

}  // namespace

Online::Online(Redis& redis, Duration expire)
    : redis_(redis),
      expire_(expire),
      report_(Redis::MakeScript("report", kReport)),
      read_(Redis::MakeScript("read", kRead)) {}

void Online::Report(const ServerId& comet,
                    bool snapshot,
                    const RoomTable& changes,
                    const std::function<void(Status)>& done) {
  const std::vector<std::string> keys = {"ol_" + comet.value(), "olv_" + comet.value()};
  // Answers come in order; an error of any piece is the answer of all.
  auto state = std::make_shared<Guarded<Status>>(Ok{});
  auto next = changes.begin();
  bool first = true;
  bool last = false;
  while (!last) {
    std::vector<std::string> arguments = {std::to_string(expire_.count()),
                                          snapshot && first ? "1" : "0", "0"};
    for (std::size_t n = 0; n < kRoomsPerCommand && next != changes.end(); ++n, ++next) {
      arguments.push_back(next->first);
      arguments.push_back(std::to_string(next->second));
    }
    last = next == changes.end();
    if (last) arguments[2] = "1";
    first = false;
    redis_.Eval(report_, keys, std::move(arguments),
                [state, last, done](const Result<Reply>& reply) {
                  const Status now = state->With([&](Status& s) {
                    if (!reply) s = reply.error();
                    return s;
                  });
                  if (last) done(now);
                });
  }
}

void Online::Read(const ServerId& comet,
                  std::int64_t known_version,
                  std::function<void(Result<Table>)> done) {
  redis_.Eval(read_, {"ol_" + comet.value(), "olv_" + comet.value()},
              {std::to_string(known_version)},
              [done = std::move(done)](const Result<Reply>& reply) {
                if (!reply) return done(reply.error());
                if (reply->list.empty()) return done(Error{Errc::kInvalid, "read: no answer"});
                done(ReadTable(*reply));
              });
}

}  // namespace encke::store

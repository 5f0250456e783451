#include "store/sessions.h"

#include <charconv>
#include <memory>
#include <unordered_map>
#include <utility>

#include "base/threads.h"

namespace encke::store {

namespace {

// KEYS: key_<key>, mid_<mid> or "".  ARGV: server, key, mid, expire in ms, "own" or "any".
// Answers "0" instead of a generation when the key is another member's and the claim is for own
// ones. Lua's numbers are doubles: microseconds since 1970 stay below 2^53 for two more centuries.
constexpr char kArrive[] = R"lua(
if redis.replicate_commands then redis.replicate_commands() end
local now = redis.call('TIME')
local generation = tonumber(now[1]) * 1000000 + tonumber(now[2])
local before = redis.call('GET', KEYS[1])
if before then
  local server, old, mid = string.match(before, '^(.*) (%d+) (%-?%d+)$')
  if mid and mid ~= ARGV[3] and ARGV[5] == 'own' then return {'0'} end
  if old and tonumber(old) >= generation then generation = tonumber(old) + 1 end
  if mid and tonumber(mid) > 0 and mid ~= ARGV[3] then
    local field = redis.call('HGET', 'mid_' .. mid, ARGV[2])
    if field == server .. ' ' .. old then redis.call('HDEL', 'mid_' .. mid, ARGV[2]) end
  end
end
local text = string.format('%.0f', generation)
local entry = ARGV[1] .. ' ' .. text
redis.call('SET', KEYS[1], entry .. ' ' .. ARGV[3], 'PX', ARGV[4])
if KEYS[2] ~= '' then
  redis.call('HSET', KEYS[2], ARGV[2], entry)
  redis.call('PEXPIRE', KEYS[2], ARGV[4])
end
return {text, before}
)lua";

// KEYS: key_<key>, mid_<mid> or "".  ARGV: server, key, mid, expire in ms, generation.
// 0: somebody newer is there.
constexpr char kRenew[] = R"lua(
local before = redis.call('GET', KEYS[1])
if before then
  local old = string.match(before, '^.* (%d+) %-?%d+$')
  if old and tonumber(old) > tonumber(ARGV[5]) then return 0 end
end
local entry = ARGV[1] .. ' ' .. ARGV[5]
redis.call('SET', KEYS[1], entry .. ' ' .. ARGV[3], 'PX', ARGV[4])
if KEYS[2] ~= '' then
  redis.call('HSET', KEYS[2], ARGV[2], entry)
  redis.call('PEXPIRE', KEYS[2], ARGV[4])
end
return 1
)lua";

// KEYS: key_<key>, mid_<mid> or "".  ARGV: server, key, generation (0: an entry without numbers).
constexpr char kDepart[] = R"lua(
local mine = ARGV[1]
if ARGV[3] ~= '0' then mine = mine .. ' ' .. ARGV[3] end
local entry = redis.call('GET', KEYS[1])
if entry and (entry == mine or string.match(entry, '^(.* %d+) %-?%d+$') == mine) then
  redis.call('DEL', KEYS[1])
end
if KEYS[2] ~= '' and redis.call('HGET', KEYS[2], ARGV[2]) == mine then
  redis.call('HDEL', KEYS[2], ARGV[2])
end
return 1
)lua";

// KEYS: encke_epoch.  ARGV: a fresh random name.  Answers its name, our server process, the younger
// of their ages in microseconds.
constexpr char kMemory[] = R"lua(
if redis.replicate_commands then redis.replicate_commands() end
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local epoch = redis.call('GET', KEYS[1])
if not epoch then
  epoch = ARGV[1] .. ' ' .. string.format('%.0f', now)
  redis.call('SET', KEYS[1], epoch)
end
local info = redis.call('INFO', 'server')
local birth = tonumber(string.match(epoch, ' (%d+)$') or '0')
local uptime = tonumber(string.match(info, 'uptime_in_seconds:(%d+)') or '0') * 1000000
local age = math.max(0, math.min(now - birth, uptime))
return {epoch .. ' ' .. (string.match(info, 'run_id:(%w+)') or '?'), string.format('%.0f', age)}
)lua";

std::vector<std::string> KeysOf(Mid mid, const Key& key) {
  return {"key_" + key.value(), mid.value() > 0 ? "mid_" + std::to_string(mid.value()) : ""};
}

template <class T>
T Number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? value : T{};
}

// Takes " <number>" off the end.
std::string_view TakeLastWord(std::string_view* text) {
  const auto space = text->rfind(' ');
  if (space == std::string_view::npos) return {};
  const std::string_view word = text->substr(space + 1);
  if (word.empty() || word.find_first_not_of("-0123456789") != std::string_view::npos) return {};
  *text = text->substr(0, space);
  return word;
}

// Collects the answers of several HGETALL; the last one in answers the caller.
struct MidSearch {
  struct Found {
    std::size_t missing = 0;
    std::unordered_map<Key, Place> places;  // of two entries for one key the newer counts
    Result<Ok> state = Ok{};
  };
  Guarded<Found> found;
  std::function<void(Result<std::vector<Place>>)> done;

  void Add(Mid mid, const Result<Reply>& reply) {
    const bool last = found.With([&](Found& f) {
      if (!reply) {
        f.state = reply.error();
      } else {
        for (std::size_t i = 0; i + 1 < reply->list.size(); i += 2) {
          Place place = ParsePlace(Key(reply->list[i].text), reply->list[i + 1].text, false);
          place.mid = mid;
          Place& best = f.places[place.key];
          if (best.server.value().empty() || place.generation > best.generation) best = place;
        }
      }
      return --f.missing == 0;
    });
    if (last) Finish();
  }

  void Finish() {
    Result<std::vector<Place>> answer = found.With([](Found& f) -> Result<std::vector<Place>> {
      if (!f.state) return f.state.error();
      std::vector<Place> places;
      for (auto& [key, place] : f.places)
        places.push_back(std::move(place));
      return places;
    });
    done(std::move(answer));
  }
};

}  // namespace

Place ParsePlace(Key key, std::string_view entry, bool with_mid) {
  Place place{.key = std::move(key), .server = {}, .generation = 0, .mid = {}};
  std::string_view rest = entry;
  const std::string_view mid = with_mid ? TakeLastWord(&rest) : std::string_view();
  const std::string_view generation = TakeLastWord(&rest);
  if (generation.empty() || (with_mid && mid.empty())) {
    place.server = ServerId(std::string(entry));
    return place;
  }
  place.server = ServerId(std::string(rest));
  place.generation = Number<std::uint64_t>(generation);
  place.mid = Mid(Number<std::int64_t>(mid));
  return place;
}

Sessions::Sessions(Redis& redis, const SessionsOptions& options)
    : redis_(redis),
      options_(options),
      arrive_(Redis::MakeScript("arrive", kArrive)),
      renew_(Redis::MakeScript("renew", kRenew)),
      depart_(Redis::MakeScript("depart", kDepart)),
      memory_(Redis::MakeScript("memory", kMemory)) {}

void Sessions::Arrive(Mid mid,
                      const Key& key,
                      const ServerId& server,
                      Claim claim,
                      std::function<void(Result<Arrival>)> done) {
  redis_.Eval(arrive_, KeysOf(mid, key),
              {server.value(), key.value(), std::to_string(mid.value()),
               std::to_string(options_.expire.count()), claim == Claim::kOwn ? "own" : "any"},
              [key, done = std::move(done)](const Result<Reply>& reply) {
                if (!reply) return done(reply.error());
                if (reply->list.empty()) return done(Error{Errc::kInvalid, "arrive: no answer"});
                Arrival arrival;
                arrival.generation = Number<std::uint64_t>(reply->list[0].text);
                if (arrival.generation == 0) {
                  return done(Error{Errc::kConflict, "the key is another user's"});
                }
                if (reply->list.size() > 1) {
                  arrival.before = ParsePlace(key, reply->list[1].text, true);
                }
                done(std::move(arrival));
              });
}

void Sessions::Renew(Mid mid,
                     const Key& key,
                     const ServerId& server,
                     std::uint64_t generation,
                     std::function<void(Status)> done) {
  redis_.Eval(renew_, KeysOf(mid, key),
              {server.value(), key.value(), std::to_string(mid.value()),
               std::to_string(options_.expire.count()), std::to_string(generation)},
              [done = std::move(done)](const Result<Reply>& reply) {
                if (!reply) return done(reply.error());
                if (reply->integer == 0) return done(Error{Errc::kConflict, "a newer login"});
                done(Ok{});
              });
}

void Sessions::Depart(Mid mid,
                      const Key& key,
                      const ServerId& server,
                      std::uint64_t generation,
                      std::function<void(Status)> done) {
  redis_.Eval(depart_, KeysOf(mid, key), {server.value(), key.value(), std::to_string(generation)},
              [done = std::move(done)](const Result<Reply>& reply) {
                if (!reply) return done(reply.error());
                done(Ok{});
              });
}

void Sessions::FindKeys(const std::vector<Key>& keys,
                        std::function<void(Result<std::vector<Place>>)> done) {
  if (keys.empty()) return done(std::vector<Place>());
  std::vector<std::string> command = {"MGET"};
  command.reserve(keys.size() + 1);
  for (const Key& key : keys)
    command.push_back("key_" + key.value());
  redis_.Call(std::move(command), [keys, done = std::move(done)](const Result<Reply>& reply) {
    if (!reply) return done(reply.error());
    if (reply->list.size() != keys.size()) return done(Error{Errc::kInvalid, "mget: short answer"});
    std::vector<Place> places;
    places.reserve(keys.size());
    for (std::size_t i = 0; i < keys.size(); ++i)
      places.push_back(ParsePlace(keys[i], reply->list[i].text, true));
    done(std::move(places));
  });
}

void Sessions::FindMids(const std::vector<Mid>& mids,
                        std::function<void(Result<std::vector<Place>>)> done) {
  std::vector<Mid> members;
  for (const Mid& mid : mids)
    if (mid.value() > 0) members.push_back(mid);
  if (members.empty()) return done(std::vector<Place>());
  auto search = std::make_shared<MidSearch>();
  search->done = std::move(done);
  search->found.With([&](MidSearch::Found& f) { f.missing = members.size(); });
  for (const Mid& mid : members) {
    redis_.Call({"HGETALL", "mid_" + std::to_string(mid.value())},
                [search, mid](const Result<Reply>& reply) { search->Add(mid, reply); });
  }
}

void Sessions::Forget(const Place& place) {
  Depart(place.mid, place.key, place.server, place.generation, [](const Status&) {});
}

void Sessions::CheckMemory(std::function<void(Result<Memory>)> done) {
  redis_.Eval(memory_, {"encke_epoch"}, {NewUuid()},
              [done = std::move(done)](const Result<Reply>& reply) {
                if (!reply) return done(reply.error());
                if (reply->list.size() != 2)
                  return done(Error{Errc::kInvalid, "memory: no answer"});
                Memory memory;
                memory.name = reply->list[0].text;
                memory.age = Duration(Number<std::int64_t>(reply->list[1].text) / 1000);
                done(std::move(memory));
              });
}

}  // namespace encke::store

#include "store/timelines.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <utility>

#include "store/reports.h"

namespace encke::store {

namespace {

// Every script begins with this.  KEYS[1]: tlm:<name>, KEYS[2]: tl:<name>.  Redis hands out an
// entry as {"7-0", {"p", payload, "t", ms, "i", id}}.
constexpr char kWords[] = R"lua(
if redis.replicate_commands then redis.replicate_commands() end
local clock = redis.call('TIME')
local now_us = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local now_ms = math.floor(now_us / 1000)
local function text(number) return string.format('%.0f', number) end
local function seq_of(entry) return tonumber(string.match(entry[1], '^%d+')) end
local function time_of(entry) return tonumber(entry[2][4]) end
local function meta()
  local m = redis.call('HMGET', KEYS[1], 'e', 'n', 'b', 'r', 'x')
  if not m[1] then return nil end
  return {e = tonumber(m[1]), n = tonumber(m[2]), b = tonumber(m[3]), r = m[4], x = m[5] or ''}
end
-- The last number that this epoch shares with an older one; nil: it shares none.
local function shared(m, epoch)
  return tonumber(string.match(' ' .. m.x, ' ' .. epoch .. ':(%d+)'))
end
-- Takes entries off the old end while `useless` says so, at most about `most` of them.
local function shed(useless, first, most)
  local count, gone, bytes = first, 0, 0
  repeat
    local batch = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', count)
    local ids = {}
    for _, entry in ipairs(batch) do
      if not useless(entry, gone + #ids, bytes) then break end
      bytes = bytes + #entry[2][2]
      ids[#ids + 1] = entry[1]
    end
    if #ids > 0 then redis.call('XDEL', KEYS[2], unpack(ids)) end
    gone = gone + #ids
    count = 16
  until #ids == 0 or #ids < #batch or gone >= most
  return gone, bytes
end
-- Oldest number that is younger than the age, without writing.
local function oldest(age)
  local from = '-'
  while true do
    local batch = redis.call('XRANGE', KEYS[2], from, '+', 'COUNT', from == '-' and 1 or 64)
    for _, entry in ipairs(batch) do
      if time_of(entry) >= now_ms - age then return seq_of(entry) end
    end
    if #batch == 0 then return 0 end
    from = '(' .. batch[#batch][1]
  end
end
)lua";

// ARGV: id, payload, messages, age in ms, bytes, "1" = retry, retry window in ms, how long its
// report is kept in ms (0 = none is wanted).
// Answers epoch, seq, ms, "1" = was there, entries that left, "1" = a new epoch.
constexpr char kAppend[] = R"lua(
local most, age, room = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local m = meta()
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') or '?'
if m and ARGV[6] == '1' then
  local to = '+'
  while to do
    local batch = redis.call('XREVRANGE', KEYS[2], to, '-', 'COUNT', 32)
    for _, entry in ipairs(batch) do
      if entry[2][6] == ARGV[1] then
        return {text(m.e), text(seq_of(entry)), entry[2][4], '1', '0', '0'}
      end
      if time_of(entry) < now_ms - tonumber(ARGV[7]) then batch = {} break end
    end
    to = #batch > 0 and '(' .. batch[#batch][1]
  end
  for _, had in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
    local seq, ms, id = string.match(had, '^(%d+) (%d+) (.*)$')
    if id == ARGV[1] then return {text(m.e), seq, ms, '1', '0', '0'} end
  end
end
local fresh = '0'
local function begin()
  redis.call('DEL', KEYS[2])
  m = {e = math.max(now_us, (m and m.e or 0) + 1), n = 0, b = 0, x = ''}
  fresh = '1'
end
if not m then
  begin()
elseif m.r ~= run then
  m.x = string.match(text(m.e) .. ':' .. text(m.n) .. ' ' .. m.x, '^%S*%s?%S*%s?%S*%s?%S*')
  m.e = math.max(now_us, m.e + 1)
  fresh = '1'
end
local fields = {'p', ARGV[2], 't', text(now_ms), 'i', ARGV[1]}
if ARGV[8] ~= '0' then fields[7], fields[8] = 'r', '1' end
local function add()
  return redis.pcall('XADD', KEYS[2], text(m.n + 1) .. '-0', unpack(fields))
end
local added = add()
if type(added) == 'table' and added.err then  -- the stream is ahead of us
  begin()
  added = add()
  if type(added) == 'table' and added.err then return added end
end
m.n = m.n + 1
m.b = m.b + #ARGV[2]
local length = redis.call('XLEN', KEYS[2])
if length == 1 then m.b = #ARGV[2] end  -- the others may have expired together
local gone, bytes = shed(function(entry, before, freed)
  if length - before <= 1 then return false end
  return length - before > most or m.b - freed > room or time_of(entry) < now_ms - age
end, math.min(math.max(length - most, 0), 500) + 1, 1000 + length - most)
m.b = math.max(m.b - bytes, 0)
redis.call('HSET', KEYS[1], 'e', text(m.e), 'n', text(m.n), 'b', text(m.b), 'r', run, 'x', m.x)
if ARGV[8] ~= '0' then report_kept(KEYS[1], text(m.n), ARGV[1], ARGV[8]) end
redis.call('PEXPIRE', KEYS[1], text(2 * math.max(age, 86400000)))
redis.call('PEXPIRE', KEYS[2], text(age))
return {text(m.e), text(m.n), text(now_ms), '0', text(gone), fresh}
)lua";

// KEYS[3]: tlc: or "".  ARGV: age in ms, device, most devices.  Answers epoch, newest, oldest,
// cursor, shared with older epochs.
constexpr char kHead[] = R"lua(
local m = meta()
local age = tonumber(ARGV[1])
local first = m and oldest(age) or 0
local cursor = 0
if ARGV[2] ~= '' then
  local known = redis.call('HGET', KEYS[3], ARGV[2])
  local e, n = string.match(known or '', '^(%d+) (%d+)')
  if m and e then
    cursor = tonumber(e) == m.e and tonumber(n) or math.min(tonumber(n), shared(m, e) or 0)
  end
  redis.call('HSET', KEYS[3], ARGV[2],
             text(m and m.e or 0) .. ' ' .. text(cursor) .. ' ' .. text(now_ms))
  redis.call('PEXPIRE', KEYS[3], text(age))
  if not known and redis.call('HLEN', KEYS[3]) > tonumber(ARGV[3]) then
    local all, worst, when = redis.call('HGETALL', KEYS[3]), nil, nil
    for i = 1, #all, 2 do
      local seen = tonumber(string.match(all[i + 1], '(%d+)$') or '0')
      if all[i] ~= ARGV[2] and (not when or seen < when) then worst, when = all[i], seen end
    end
    redis.call('HDEL', KEYS[3], worst)
  end
end
if not m then return {'0', '0', '0', '0'} end
return {text(m.e), text(m.n), text(first), text(cursor), m.x}
)lua";

// ARGV: age in ms, after, before (0 = none), limit, most bytes, "1" = newest first.
// Answers {epoch, newest, oldest, 0, shared with older epochs}, "1" = more, then seq, ms, id,
// payload in turns.
constexpr char kRead[] = R"lua(
local m = meta()
if not m then return {{'0', '0', '0'}, '0'} end
local age, after, before = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local limit, room, back = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6] == '1'
local first = oldest(age)
local answer = {{text(m.e), text(m.n), text(first), '0', m.x}, '0'}
if first == 0 then return answer end
local low = text(math.max(after + 1, first))
local high = before > 0 and text(before - 1) or '+'
if high ~= '+' and tonumber(high) < tonumber(low) then return answer end
local taken, bytes = 0, 0
while true do
  local batch
  local count = math.min(limit - taken + 1, 64)
  if back then
    batch = redis.call('XREVRANGE', KEYS[2], high, low, 'COUNT', count)
  else
    batch = redis.call('XRANGE', KEYS[2], low, high, 'COUNT', count)
  end
  for _, entry in ipairs(batch) do
    if taken >= limit or (taken > 0 and bytes + #entry[2][2] > room) then
      answer[2] = '1'
      return answer
    end
    for _, part in ipairs({text(seq_of(entry)), entry[2][4], entry[2][6], entry[2][2]}) do
      answer[#answer + 1] = part
    end
    taken = taken + 1
    bytes = bytes + #entry[2][2]
  end
  if #batch < count then return answer end
  if back then high = '(' .. batch[#batch][1] else low = '(' .. batch[#batch][1] end
end
)lua";

// ARGV: time in ms.  Numbers are dense but for what was acknowledged: halving works either way.
constexpr char kFind[] = R"lua(
local first = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
if not first or time_of(first) >= tonumber(ARGV[1]) then return '0' end
local low = seq_of(first)  -- before the time
local high = seq_of(redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]) + 1
while high - low > 1 do
  local middle = math.floor((low + high) / 2)
  local entry = redis.call('XRANGE', KEYS[2], text(middle), text(high - 1), 'COUNT', 1)[1]
  if entry and time_of(entry) < tonumber(ARGV[1]) then low = seq_of(entry) else high = middle end
end
return text(low)
)lua";

// KEYS[3]: tlc:, KEYS[4]: tla:.  ARGV: age in ms, device, epoch, seq, retry window in ms, most
// remembered, how long a report is kept in ms.  Answers 0: another epoch.
constexpr char kAcknowledge[] = R"lua(
local m = meta()
if not m or text(m.e) ~= ARGV[3] then return 0 end
local age, seq = tonumber(ARGV[1]), math.min(tonumber(ARGV[4]), m.n)
local e, n = string.match(redis.call('HGET', KEYS[3], ARGV[2]) or '', '^(%d+) (%d+)')
local before = 0
if e then before = e == ARGV[3] and tonumber(n) or math.min(tonumber(n), shared(m, e) or 0) end
seq = math.max(seq, before)
-- Those that asked for a report and that this device has now, once each: cursors only grow.
local wanted = tonumber(redis.call('HGET', KEYS[1], 'w') or '0')
if wanted > before then report_acknowledged(KEYS[2], text(before), text(seq), ARGV[7]) end
redis.call('HSET', KEYS[3], ARGV[2], ARGV[3] .. ' ' .. text(seq) .. ' ' .. text(now_ms))
redis.call('PEXPIRE', KEYS[3], ARGV[1])
local least = seq
local all = redis.call('HGETALL', KEYS[3])
for i = 1, #all, 2 do
  local of, upto, seen = string.match(all[i + 1], '^(%d+) (%d+) (%d+)$')
  if not seen or tonumber(seen) < now_ms - age then
    redis.call('HDEL', KEYS[3], all[i])
  else
    least = math.min(least, of == ARGV[3] and tonumber(upto) or 0)
  end
end
local _, bytes = shed(function(entry)
  if seq_of(entry) > least then return false end
  local had = text(seq_of(entry)) .. ' ' .. entry[2][4] .. ' ' .. entry[2][6]
  redis.call('ZADD', KEYS[4], entry[2][4], had)  -- a retry must find it
  return true
end, 64, 100000)
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', text(now_ms - ARGV[5]))
redis.call('ZREMRANGEBYRANK', KEYS[4], 0, -1 - ARGV[6])
redis.call('PEXPIRE', KEYS[4], ARGV[5])
if bytes > 0 then redis.call('HSET', KEYS[1], 'b', text(math.max(m.b - bytes, 0))) end
return 1
)lua";

// ARGV: seq, 0 = all.
constexpr char kPurge[] = R"lua(
local m = meta()
local upto = tonumber(ARGV[1])
local _, bytes = shed(function(entry) return upto == 0 or seq_of(entry) <= upto end, 64, 1000000)
if m then redis.call('HSET', KEYS[1], 'b', text(math.max(m.b - bytes, 0))) end
return 1
)lua";

Redis::Script Script(const char* name, const char* text) {
  return Redis::MakeScript(name, std::string(kWords) + kReportWords + text);
}

template <class T>
T Number(const std::string& text) {
  T value{};
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::string Text(std::size_t number) { return std::to_string(number); }

TimelineHead ReadHeadOf(const std::vector<Reply>& list) {
  TimelineHead head;
  head.epoch = Number<std::uint64_t>(list[0].text);
  head.newest = Number<std::uint64_t>(list[1].text);
  head.oldest = Number<std::uint64_t>(list[2].text);
  if (list.size() > 3) head.cursor = Number<std::uint64_t>(list[3].text);
  if (list.size() > 4) head.shared = list[4].text;
  return head;
}

Error Garbled(const char* what) { return {Errc::kInvalid, std::string(what) + ": no answer"}; }

Result<TimelinePage> ReadPage(const Reply& reply) {
  if (reply.list.size() < 2 || reply.list[0].list.size() < 3) return Garbled("timeline.read");
  TimelinePage page;
  page.head = ReadHeadOf(reply.list[0].list);
  page.more = reply.list[1].text == "1";
  for (std::size_t i = 2; i + 3 < reply.list.size(); i += 4) {
    page.entries.push_back({Number<std::uint64_t>(reply.list[i].text),
                            Number<std::int64_t>(reply.list[i + 1].text), reply.list[i + 2].text,
                            reply.list[i + 3].text});
  }
  return page;
}

}  // namespace

std::optional<std::uint64_t> TimelineHead::SharedWith(std::uint64_t older) const {
  const std::string wanted = " " + std::to_string(older) + ":";
  const std::string all = " " + shared;
  const std::size_t at = all.find(wanted);
  if (at == std::string::npos) return std::nullopt;
  return std::strtoull(all.c_str() + at + wanted.size(), nullptr, 10);
}

Timelines::Timelines(Redis& redis)
    : redis_(redis),
      append_(Script("timeline.append", kAppend)),
      head_(Script("timeline.head", kHead)),
      read_(Script("timeline.read", kRead)),
      find_(Script("timeline.find", kFind)),
      acknowledge_(Script("timeline.acknowledge", kAcknowledge)),
      purge_(Script("timeline.purge", kPurge)) {}

void Timelines::Append(Entry entry, std::function<void(Result<Appended>)> done) {
  const std::size_t bytes = entry.payload.size();
  redis_.Eval(append_, {"tlm:" + entry.name, "tl:" + entry.name, "tla:" + entry.name},
              {std::move(entry.id), std::move(entry.payload), Text(entry.limits.messages),
               std::to_string(entry.limits.age.count()), Text(entry.limits.bytes),
               entry.retry ? "1" : "0", std::to_string(kRetryWindow.count()),
               entry.report ? std::to_string(Reports::kKept.count()) : "0"},
              [this, bytes, done = std::move(done)](const Result<Reply>& reply) {
                if (!reply || reply->list.size() < 6) {
                  counts_.failed.Add();
                  return done(reply ? Garbled("timeline.append") : reply.error());
                }
                const std::vector<Reply>& list = reply->list;
                Appended appended{Number<std::uint64_t>(list[0].text),
                                  Number<std::uint64_t>(list[1].text),
                                  Number<std::int64_t>(list[2].text), list[3].text == "1"};
                (appended.duplicate ? counts_.duplicates : counts_.appended).Add();
                if (!appended.duplicate) counts_.bytes.Add(bytes);
                counts_.trimmed.Add(Number<std::uint64_t>(list[4].text));
                if (list[5].text == "1") counts_.epochs.Add();
                done(appended);
              });
}

void Timelines::ReadHead(const std::string& name,
                         Duration age,
                         const std::string& device,
                         std::function<void(Result<TimelineHead>)> done) {
  redis_.Eval(head_, {"tlm:" + name, "tl:" + name, "tlc:" + name},
              {std::to_string(age.count()), device, std::to_string(kDevicesMax)},
              [done = std::move(done)](const Result<Reply>& reply) {
                if (!reply) return done(reply.error());
                if (reply->list.size() < 4) return done(Garbled("timeline.head"));
                done(ReadHeadOf(reply->list));
              });
}

void Timelines::Read(const std::string& name,
                     Duration age,
                     const Range& range,
                     std::function<void(Result<TimelinePage>)> done) {
  redis_.Eval(read_, {"tlm:" + name, "tl:" + name},
              {std::to_string(age.count()), Text(range.after), Text(range.before),
               Text(std::clamp<std::size_t>(range.limit, 1, kPageEntries)), Text(kPageBytes),
               range.newest_first ? "1" : "0"},
              [done = std::move(done)](const Result<Reply>& reply) {
                if (!reply) return done(reply.error());
                done(ReadPage(*reply));
              });
}

void Timelines::FindTime(const std::string& name,
                         std::int64_t time_ms,
                         std::function<void(Result<std::uint64_t>)> done) {
  redis_.Eval(find_, {"tlm:" + name, "tl:" + name}, {std::to_string(time_ms)},
              [done = std::move(done)](const Result<Reply>& reply) {
                if (!reply) return done(reply.error());
                done(Number<std::uint64_t>(reply->text));
              });
}

void Timelines::Acknowledge(const Acknowledgement& ack,
                            Duration age,
                            std::function<void(Status)> done) {
  redis_.Eval(acknowledge_,
              {"tlm:" + ack.name, "tl:" + ack.name, "tlc:" + ack.name, "tla:" + ack.name},
              {std::to_string(age.count()), ack.device, Text(ack.epoch), Text(ack.seq),
               std::to_string(kRetryWindow.count()), std::to_string(kRememberedMax),
               std::to_string(Reports::kKept.count())},
              [done = std::move(done)](const Result<Reply>& reply) {
                if (!reply) return done(reply.error());
                if (reply->integer == 0) return done(Error{Errc::kConflict, "another epoch"});
                done(Ok{});
              });
}

void Timelines::Purge(const std::string& name,
                      std::uint64_t seq,
                      std::function<void(Status)> done) {
  redis_.Eval(purge_, {"tlm:" + name, "tl:" + name}, {Text(seq)},
              [done = std::move(done)](const Result<Reply>& reply) {
                if (!reply) return done(reply.error());
                done(Ok{});
              });
}

}  // namespace encke::store

#pragma once
// What Redis does with timelines: one Lua script for each of store/timelines.h' calls.
//
// Owner    Timelines.
// Thread   any; read-only.
// Limit    what store/timelines.h says.

namespace encke::store::script {

// Every script begins with this.  KEYS[1]: tlm:<name>, KEYS[2]: tl:<name>.  Redis hands out an
// entry as {"7-0", {"p", payload, "t", ms, "i", id}}.
inline constexpr char kWords[] = R"lua(
if redis.replicate_commands then redis.replicate_commands() end
local clock = redis.call('TIME')
local now_us = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local now_ms = math.floor(now_us / 1000)
local day_us = 86400 * 1000000  -- a meta lives two of them at least, see kAppend
local function text(number) return string.format('%.0f', number) end
local function process()
  return string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') or '?'
end
local function seq_of(entry) return tonumber(string.match(entry[1], '^%d+')) end
local function time_of(entry) return tonumber(entry[2][4]) end
local function meta()
  local m = redis.call('HMGET', KEYS[1], 'e', 'n', 'b', 'r', 'x')
  if not m[1] then return nil end
  return {e = tonumber(m[1]), n = tonumber(m[2]), b = tonumber(m[3]), r = m[4], x = m[5] or ''}
end
-- The epoch of a timeline in which nothing is known to have been said, and the one before it in
-- which that would have been the same.  It is the day's, so that it is over before a timeline that
-- took it can be forgotten and begin anew, and its days begin when the name says, not all at once.
-- The first day is that of these data under this process: nothing older is known to be whole.
local function unborn()
  local world, run = redis.call('HMGET', 'tlw', 'b', 'r'), process()
  local first = tonumber(world[1] or '0')
  if world[2] ~= run then
    first = math.max(now_us, first + 1)
    redis.call('HSET', 'tlw', 'b', text(first), 'r', run)
  end
  local phase = tonumber(string.sub(redis.sha1hex(KEYS[1]), 1, 8), 16) * 1000000 % day_us
  local begun = first - phase
  local today = math.max(first, begun + math.floor((now_us - begun) / day_us) * day_us)
  local before = math.max(first, today - day_us)
  return today, before < today and text(before) .. ':0 ' or ''
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
inline constexpr char kAppend[] = R"lua(
local most, age, room = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local m = meta()
local run = process()
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
  local e, x
  if m then
    e, x = math.max(now_us, m.e + 1), ''
  else
    e, x = unborn()
    if redis.call('EXISTS', KEYS[2]) == 1 then e, x = math.max(now_us, e + 1), '' end  -- meta lost
  end
  redis.call('DEL', KEYS[2])
  m = {e = e, n = 0, b = 0, x = x}
  fresh = '1'
end
if not m then
  begin()
elseif m.r ~= run then
  local older = string.gsub(m.x, '%d+:0 ', '')  -- no number of those days is known to be whole now
  m.x = string.match(text(m.e) .. ':' .. text(m.n) .. ' ' .. older, '^%S*%s?%S*%s?%S*%s?%S*')
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
redis.call('PEXPIRE', KEYS[1], text(2 * math.max(age, day_us / 1000)))
redis.call('PEXPIRE', KEYS[2], text(age))
return {text(m.e), text(m.n), text(now_ms), '0', text(gone), fresh}
)lua";

// KEYS[3]: tlc: or "".  ARGV: age in ms, device, most devices.  Answers epoch, newest, oldest,
// cursor, shared with older epochs.
inline constexpr char kHead[] = R"lua(
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
if not m then
  local e, x = unborn()
  return {text(e), '0', '0', '0', x}
end
return {text(m.e), text(m.n), text(first), text(cursor), m.x}
)lua";

// ARGV: age in ms, after, before (0 = none), limit, most bytes, "1" = newest first.
// Answers {epoch, newest, oldest, 0, shared with older epochs}, "1" = more, then seq, ms, id,
// payload in turns.
inline constexpr char kRead[] = R"lua(
local m = meta()
if not m then
  local e, x = unborn()
  return {{text(e), '0', '0', '0', x}, '0'}
end
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
inline constexpr char kFind[] = R"lua(
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
inline constexpr char kAcknowledge[] = R"lua(
local m = meta()
if not m and ARGV[4] == '0' then return 1 end
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
inline constexpr char kPurge[] = R"lua(
local m = meta()
local upto = tonumber(ARGV[1])
local _, bytes = shed(function(entry) return upto == 0 or seq_of(entry) <= upto end, 64, 1000000)
if m then redis.call('HSET', KEYS[1], 'b', text(math.max(m.b - bytes, 0))) end
return 1
)lua";

}  // namespace encke::store::script

/** Generated from the .lua files of this folder by `npm run lua`. Edit those instead. */

export const appendBeat = `
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local last = tonumber(redis.call('GET', KEYS[2]) or '')
if not last and ARGV[3] ~= '1' then return 0 end
if last and now >= last and now - last < tonumber(ARGV[1]) then return 0 end
redis.call('XADD', KEYS[1], '*', 'kind', 'beat', 'body', '')
redis.call('SET', KEYS[2], string.format('%.0f', now), 'PX', ARGV[2])
return 1
`;

export const appendEvents = `
local function append_event(log, body, lineage, trace)
  if body == '' then return nil end
  if lineage == '' and trace == '' then
    return redis.call('XADD', log, '*', 'kind', 'event', 'body', body)
  end
  local fields = { 'kind', 'event', 'body', body }
  for _, field in ipairs({ { 'lineage', lineage }, { 'trace', trace } }) do
    if field[2] ~= '' then
      fields[#fields + 1] = field[1]
      fields[#fields + 1] = field[2]
    end
  end
  return redis.call('XADD', log, '*', unpack(fields))
end

local positions = {}
for i = 1, #ARGV, 3 do
  local lines = ARGV[i]
  local start = 1
  local stop = string.find(lines, '\\n', start, true)
  while stop do
    positions[#positions + 1] = append_event(KEYS[1], string.sub(lines, start, stop - 1), ARGV[i + 1], ARGV[i + 2])
    start = stop + 1
    stop = string.find(lines, '\\n', start, true)
  end
end
return table.concat(positions, ' ')
`;

export const askShards = `
local count = string.match(redis.call('GET', KEYS[1]) or '', '^%d+')
if not count then return 'none' end
if count == ARGV[1] then
  redis.call('DEL', KEYS[2])
  return 'same'
end
local wish = redis.call('HMGET', KEYS[2], 'count', 'failure')
if wish[1] and not wish[2] then return wish[1] == ARGV[1] and 'asked' or 'other' end
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
if redis.call('ZCOUNT', KEYS[3], '(' .. now, '+inf') == 0 then return 'no engine' end
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[2], 'count', ARGV[1], 'since', now)
return 'asked'
`;

export const beatEngine = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function text(number) return string.format('%.0f', number) end

for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', text(now))) do
  redis.call('ZREM', KEYS[1], name)
  redis.call('HDEL', KEYS[2], name)
end
local joined = 0
if ARGV[1] ~= '' then
  joined = redis.call('ZADD', KEYS[1], text(now + ARGV[2]), ARGV[1])
  local since = joined == 0 and string.match(redis.call('HGET', KEYS[2], ARGV[1]) or '', '^%d+') or text(now)
  redis.call('HSET', KEYS[2], ARGV[1], since .. ' ' .. ARGV[3])
end
if ARGV[4] ~= '' then redis.call('SETNX', KEYS[3], ARGV[4]) end

local engines = {}
local alive = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for i = 1, #alive, 2 do
  local since, wants = string.match(redis.call('HGET', KEYS[2], alive[i]) or '', '^(%d+) (.*)$')
  for _, value in ipairs({ alive[i], alive[i + 1], since or text(now), wants or '' }) do
    engines[#engines + 1] = value
  end
end
local leases = {}
for i = 5, #KEYS do
  -- A key that holds something else is reported to whoever claims the shard.
  local owner = redis.pcall('GET', KEYS[i])
  if type(owner) ~= 'string' then owner = '' end
  leases[#leases + 1] = owner
  leases[#leases + 1] = owner == '' and 0 or redis.call('PTTL', KEYS[i])
end
local wish = redis.call('HMGET', KEYS[4], 'count', 'failure')
return {
  joined, redis.call('GET', KEYS[3]) or '', not wish[2] and wish[1] or '', engines, leases,
}
`;

export const claimLease = `
local layout = redis.call('GET', KEYS[3])
if layout and layout ~= ARGV[3] then return { false, tonumber(ARGV[2]) } end
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] and ARGV[4] ~= '1' then
  return { false, redis.call('PTTL', KEYS[1]) }
end
local time = redis.call('TIME')
local milliseconds = time[1] * 1000 + math.floor(time[2] / 1000)
local epoch = math.max(tonumber(redis.call('GET', KEYS[2]) or 0) + 1, milliseconds)
local text = string.format('%.0f', epoch)
redis.call('SET', KEYS[2], text)
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return { text, 0 }
`;

export const claimTurn = `
local function is_outdated(thing, target, place, insists)
  if insists == '1' then return false end
  local accepted = redis.call('HGET', thing, 'accepted:' .. target)
  return accepted and tonumber(accepted) > tonumber(place)
end

if redis.call('GET', KEYS[4]) ~= ARGV[5] then return { 'lost', '', '', '' } end
local woken = redis.call('HGET', KEYS[5], 'woken') or ''
if woken ~= '' then redis.call('HDEL', KEYS[5], 'woken') end
local request = redis.call('HGET', KEYS[3], ARGV[1]) or ''
if redis.call('ZADD', KEYS[1], 'NX', ARGV[2], ARGV[1]) == 1 then
  redis.call('HINCRBY', KEYS[2], 'waiting', 1)
end
if is_outdated(KEYS[2], ARGV[3], ARGV[2], ARGV[4]) then return { 'outdated', '', request, woken } end
local first = redis.call('ZRANGE', KEYS[1], 0, 0)[1]
if first == '=' .. ARGV[1] then return { 'turn', '', request, woken } end
if first ~= ARGV[1] then return { 'wait', string.gsub(first, '^=', ''), request, woken } end
redis.call('ZADD', KEYS[1], -1, '=' .. ARGV[1])
return { 'turn', '', request, woken }
`;

export const commit = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return { 'fenced' } end
local commit_count = tonumber(redis.call('HGET', KEYS[2], 'commit-count') or 0)
if commit_count + 1 ~= tonumber(ARGV[2]) then return { 'out of step' } end

local function append_event(log, body, lineage, trace)
  if body == '' then return nil end
  if lineage == '' and trace == '' then
    return redis.call('XADD', log, '*', 'kind', 'event', 'body', body)
  end
  local fields = { 'kind', 'event', 'body', body }
  for _, field in ipairs({ { 'lineage', lineage }, { 'trace', trace } }) do
    if field[2] ~= '' then
      fields[#fields + 1] = field[1]
      fields[#fields + 1] = field[2]
    end
  end
  return redis.call('XADD', log, '*', unpack(fields))
end

local next_arg = 11

local function in_chunks(count, command, key)
  local last = next_arg + count - 1
  while next_arg <= last do
    local chunk_last = math.min(next_arg + 999, last)
    redis.call(command, key, unpack(ARGV, next_arg, chunk_last))
    next_arg = chunk_last + 1
  end
end

in_chunks(2 * tonumber(ARGV[7]), 'HSET', KEYS[3])
in_chunks(tonumber(ARGV[8]), 'HDEL', KEYS[3])
for _ = 1, tonumber(ARGV[9]) do
  append_event(KEYS[4], ARGV[next_arg], ARGV[next_arg + 1], ARGV[next_arg + 2])
  next_arg = next_arg + 3
end
for _ = 1, tonumber(ARGV[10]) do
  local key, field, increment, expires = KEYS[tonumber(ARGV[next_arg])], unpack(ARGV, next_arg + 1, next_arg + 3)
  -- A new field may be the first of its key.
  if redis.call('HINCRBY', key, field, increment) == tonumber(increment) and expires ~= '' then
    redis.call('EXPIREAT', key, expires)
  end
  next_arg = next_arg + 4
end
local result = { 'committed' }
while next_arg <= #ARGV do
  result[#result + 1] = redis.call('XADD', KEYS[5], '*', 'invocation', ARGV[next_arg])
  next_arg = next_arg + 1
end
redis.call('HSET', KEYS[2],
  'position', ARGV[3], 'watermark', ARGV[4], 'read-count', ARGV[5], 'commit-count', ARGV[2],
  'next-deadline', ARGV[6])
return result
`;

export const createApiKey = `
local count = redis.call('HLEN', KEYS[1])
if count > tonumber(ARGV[3]) or redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then return -1 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return count
`;

export const deleteAutomations = `
local function append_event(log, body, lineage, trace)
  if body == '' then return nil end
  if lineage == '' and trace == '' then
    return redis.call('XADD', log, '*', 'kind', 'event', 'body', body)
  end
  local fields = { 'kind', 'event', 'body', body }
  for _, field in ipairs({ { 'lineage', lineage }, { 'trace', trace } }) do
    if field[2] ~= '' then
      fields[#fields + 1] = field[1]
      fields[#fields + 1] = field[2]
    end
  end
  return redis.call('XADD', log, '*', unpack(fields))
end

local count = 0
for i = 1, #ARGV, 4 do
  redis.call('HDEL', KEYS[3], ARGV[i])
  if redis.call('HDEL', KEYS[1], ARGV[i]) == 1 then
    redis.call('XADD', KEYS[2], '*', 'kind', 'automation-delete', 'body', ARGV[i])
    append_event(KEYS[2], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3])
    count = count + 1
  end
end
return count
`;

export const disableEndpoint = `
local function append_event(log, body, lineage, trace)
  if body == '' then return nil end
  if lineage == '' and trace == '' then
    return redis.call('XADD', log, '*', 'kind', 'event', 'body', body)
  end
  local fields = { 'kind', 'event', 'body', body }
  for _, field in ipairs({ { 'lineage', lineage }, { 'trace', trace } }) do
    if field[2] ~= '' then
      fields[#fields + 1] = field[1]
      fields[#fields + 1] = field[2]
    end
  end
  return redis.call('XADD', log, '*', unpack(fields))
end

if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) then return 0 end
if redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2]) == 0 then return 0 end
append_event(KEYS[2], ARGV[4], ARGV[5], ARGV[6])
return 1
`;

export const enableEndpoint = `
local function append_event(log, body, lineage, trace)
  if body == '' then return nil end
  if lineage == '' and trace == '' then
    return redis.call('XADD', log, '*', 'kind', 'event', 'body', body)
  end
  local fields = { 'kind', 'event', 'body', body }
  for _, field in ipairs({ { 'lineage', lineage }, { 'trace', trace } }) do
    if field[2] ~= '' then
      fields[#fields + 1] = field[1]
      fields[#fields + 1] = field[2]
    end
  end
  return redis.call('XADD', log, '*', unpack(fields))
end

if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
append_event(KEYS[2], ARGV[2], ARGV[3], ARGV[4])
return 1
`;

export const enterLimit = `
local holder, delivery = ARGV[1], ARGV[2]
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local function text(micros) return string.format('%.0f', micros) end
local function expire(key, micros) redis.call('PEXPIRE', key, math.ceil(micros / 1000) + 1000) end
local function hold_slot()
  redis.call('ZADD', KEYS[1], text(now + ARGV[4]), holder)
  expire(KEYS[1], ARGV[4])
end

if ARGV[3] ~= '' then
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', text(now))
  if redis.call('ZSCORE', KEYS[1], holder) then
    hold_slot()
    return { 0, 0 }
  end
  if delivery == '' then return { 0, 0 } end
  if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then
    local since = redis.call('ZSCORE', KEYS[3], delivery) or now
    redis.call('ZADD', KEYS[3], text(since), delivery)
    expire(KEYS[3], 4 * ARGV[8])
    return { 1, math.min(math.max(now - since, ARGV[7]), ARGV[8]) }
  end
end

if ARGV[5] ~= '' then
  local count, period = tonumber(ARGV[5]), tonumber(ARGV[6])
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', text(now - period))
  local place = redis.call('ZSCORE', KEYS[2], delivery)
  local last = '+inf'
  if place then
    last = text(math.max(now, tonumber(place)))
    redis.call('ZREM', KEYS[2], delivery)
  end
  local ahead = redis.call('ZCOUNT', KEYS[2], '-inf', last)
  local newest = redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')[2] or 0
  local turn = now
  if ahead >= count then
    local nth = redis.call('ZRANGE', KEYS[2], ahead - count, ahead - count, 'WITHSCORES')[2]
    turn = nth + period
    if not place then turn = math.max(turn, newest + 1) end
  end
  redis.call('ZADD', KEYS[2], text(turn), turn > now and delivery or holder)
  expire(KEYS[2], math.max(turn, newest) + period - now)
  if turn > now then return { 2, math.ceil(turn - now) } end
end

if ARGV[3] ~= '' then
  redis.call('ZREM', KEYS[3], delivery)
  hold_slot()
end
return { 0, 0 }
`;

export const evictFromLane = `
local place = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not place then return 1 end
if tonumber(place) >= tonumber(ARGV[3]) then return 0 end
local is_known = redis.call('EXISTS', KEYS[3]) == 1
  and not redis.call('ZSCORE', KEYS[4], ARGV[2])
  and not redis.call('ZSCORE', KEYS[5], ARGV[2])
if is_known then return 0 end
redis.call('ZREM', KEYS[1], ARGV[1], '=' .. ARGV[1])
redis.call('HINCRBY', KEYS[2], 'waiting', -1)
return 1
`;

export const forgetRequest = `
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then redis.call('HDEL', KEYS[1], ARGV[1]) end
return 1
`;

export const joinLanes = `
local time = redis.call('TIME')
local place = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), time[1] * 1000000 + time[2])
local places = {}
for i = 1, #ARGV - 1 do
  local job, lane, thing = KEYS[3 * i - 1], KEYS[3 * i], KEYS[3 * i + 1]
  local id = ARGV[i + 1]
  local waits = 0
  local given = ''
  if redis.call('EXISTS', job) == 0 then
    local known = redis.call('ZSCORE', lane, id)
    if known then
      given = known
    else
      place = place + 1
      given = string.format('%.0f', place)
      redis.call('ZADD', lane, given, id)
      redis.call('HINCRBY', thing, 'waiting', 1)
    end
    if redis.call('ZCARD', lane) > 1 then waits = 1 end
    redis.call('EXPIRE', lane, ARGV[1])
    redis.call('EXPIRE', thing, ARGV[1])
  end
  places[2 * i - 1], places[2 * i] = given, waits
end
redis.call('SET', KEYS[1], string.format('%.0f', place))
return places
`;

export const leaveLimit = `
redis.call('ZREM', KEYS[1], ARGV[1])
return redis.call('ZPOPMIN', KEYS[2])[1] or false
`;

export const leaveTurn = `
local function pop_waiting(waiting, jobs, is_probe, count)
  local ids = {}
  if count <= 0 then return ids end
  if is_probe then
    ids = redis.call('ZRANDMEMBER', waiting, count)
    for _, id in ipairs(ids) do redis.call('ZREM', waiting, id) end
  else
    local popped = redis.call('ZPOPMIN', waiting, count)
    for i = 1, #popped, 2 do ids[#ids + 1] = popped[i] end
  end
  for _, id in ipairs(ids) do
    if redis.call('EXISTS', jobs .. id) == 1 then redis.call('HSET', jobs .. id, 'woken', is_probe and 'probe' or 'drain') end
  end
  return ids
end

if redis.call('GET', KEYS[6]) ~= ARGV[9] then return false end
if ARGV[10] ~= '' then redis.call('HSET', KEYS[5], 'data', ARGV[10]) end
local id, outcome, has_endpoint = ARGV[1], ARGV[4], ARGV[6] ~= ''
redis.call('ZREM', KEYS[1], '=' .. id)
local woken = {}
if outcome == 'postponed' then
  if has_endpoint then redis.call('ZREM', KEYS[4], id) end
elseif outcome == 'later' then
  if has_endpoint then
    redis.call('ZADD', KEYS[4], ARGV[2], id)
    redis.call('EXPIRE', KEYS[4], ARGV[7])
    redis.call('SADD', KEYS[7], ARGV[6])
  end
else
  redis.call('HDEL', KEYS[3], id)
  if redis.call('ZREM', KEYS[1], id) == 1 then
    if outcome == 'dead' then
      redis.call('HINCRBY', KEYS[2], 'dead', 1)
    elseif outcome == 'accepted' then
      local field = 'accepted:' .. ARGV[3]
      local before = tonumber(redis.call('HGET', KEYS[2], field) or 0)
      if tonumber(ARGV[2]) > before then redis.call('HSET', KEYS[2], field, ARGV[2]) end
    end
    local waiting = redis.call('HINCRBY', KEYS[2], 'waiting', -1)
    local dead = tonumber(redis.call('HGET', KEYS[2], 'dead') or 0)
    local is_over = waiting <= 0 and dead <= 0
    redis.call('EXPIRE', KEYS[2], is_over and ARGV[8] or ARGV[7])
  end
  if has_endpoint then
    redis.call('ZREM', KEYS[4], id)
    if outcome == 'accepted' then
      local jobs = string.sub(KEYS[5], 1, #KEYS[5] - #id)
      woken = pop_waiting(KEYS[4], jobs, false, tonumber(ARGV[5]))
    end
  end
end
local first = redis.call('ZRANGE', KEYS[1], 0, 0)[1]
if first and first ~= id and string.sub(first, 1, 1) ~= '=' then table.insert(woken, 1, first) end
return woken
`;

export const moveTurn = `
local function is_outdated(thing, target, place, insists)
  if insists == '1' then return false end
  local accepted = redis.call('HGET', thing, 'accepted:' .. target)
  return accepted and tonumber(accepted) > tonumber(place)
end

if redis.call('GET', KEYS[6]) ~= ARGV[5] then return { 'lost', '' } end
local id = ARGV[1]
if is_outdated(KEYS[3], ARGV[3], ARGV[2], ARGV[4]) then return { 'outdated', '' } end
redis.call('HSET', KEYS[5], 'data', ARGV[6])
redis.call('ZREM', KEYS[1], '=' .. id)
local left = redis.call('ZREM', KEYS[1], id)
local joined = redis.call('ZADD', KEYS[2], 'NX', ARGV[2], id)
redis.call('HINCRBY', KEYS[3], 'waiting', joined - left)
redis.call('EXPIRE', KEYS[2], ARGV[8])
redis.call('EXPIRE', KEYS[3], ARGV[8])
if ARGV[7] ~= '' then redis.call('ZREM', KEYS[4], id) end
local first = redis.call('ZRANGE', KEYS[1], 0, 0)[1]
if not first or string.sub(first, 1, 1) == '=' then first = '' end
return { 'moved', first }
`;

export const origin = `
local time = redis.call('TIME')
local trimmed = tonumber(redis.call('GET', KEYS[2]) or 0)
if trimmed == 0 then return { '0-0', 0, {}, time } end
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
local position = newest[1] and newest[1][1] or '0-0'
return { position, trimmed + redis.call('XLEN', KEYS[1]), redis.call('HVALS', KEYS[3]), time }
`;

export const putAutomations = `
local function append_event(log, body, lineage, trace)
  if body == '' then return nil end
  if lineage == '' and trace == '' then
    return redis.call('XADD', log, '*', 'kind', 'event', 'body', body)
  end
  local fields = { 'kind', 'event', 'body', body }
  for _, field in ipairs({ { 'lineage', lineage }, { 'trace', trace } }) do
    if field[2] ~= '' then
      fields[#fields + 1] = field[1]
      fields[#fields + 1] = field[2]
    end
  end
  return redis.call('XADD', log, '*', unpack(fields))
end

for i = 1, #ARGV, 5 do
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  redis.call('XADD', KEYS[2], '*', 'kind', 'automation-put', 'body', ARGV[i + 1])
  append_event(KEYS[2], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4])
end
`;

export const putRuleTexts = `
for i = 1, #ARGV, 2 do
  if redis.call('HEXISTS', KEYS[1], ARGV[i]) == 1 then
    redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
  end
end
`;

export const readEvents = `
local part_count = 20 -- an entry may have 1.5 MB, and only those of one part go beyond the limit
local texts, size, left, length = {}, 0, tonumber(ARGV[2]), 0
local from = '(' .. ARGV[1]
while left > 0 and length < tonumber(ARGV[3]) do
  local wanted = math.min(left, part_count)
  local part = redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', wanted)
  for _, entry in ipairs(part) do
    local fields, kind, body, lineage = entry[2], '', '', ''
    for at = 1, #fields, 2 do
      local name = fields[at]
      if name == 'kind' then kind = fields[at + 1]
      elseif name == 'body' then body = fields[at + 1]
      elseif name == 'lineage' then lineage = fields[at + 1] end
    end
    if kind ~= 'event' then body, lineage = '', '' end
    texts[size + 1], texts[size + 2], texts[size + 3] = entry[1], body, lineage
    size = size + 3
    length = length + #body + #lineage
  end
  if #part < wanted then break end
  left = left - wanted
  from = '(' .. part[wanted][1]
end
return texts
`;

export const readLog = `
local part_count = 20 -- an entry may have 1.5 MB, and only those of one part go beyond the limit
local entries, left, length = {}, tonumber(ARGV[2]), 0
local from = '(' .. ARGV[1]
while left > 0 and length < tonumber(ARGV[3]) do
  local wanted = math.min(left, part_count)
  local part = redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', wanted)
  for _, entry in ipairs(part) do
    entries[#entries + 1] = entry
    for _, text in ipairs(entry[2]) do length = length + #text end
  end
  if #part < wanted then break end
  left = left - wanted
  from = '(' .. part[wanted][1]
end
return entries
`;

export const readOutbox = `
local epoch = redis.call('GET', KEYS[2])
if epoch then redis.call('SET', KEYS[2], epoch) end
return redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', ARGV[1])
`;

export const refuseShards = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if redis.call('EXISTS', KEYS[2]) == 1 then redis.call('HSET', KEYS[2], 'failure', ARGV[2]) end
return 1
`;

export const rejoinLane = `
local function is_outdated(thing, target, place, insists)
  if insists == '1' then return false end
  local accepted = redis.call('HGET', thing, 'accepted:' .. target)
  return accepted and tonumber(accepted) > tonumber(place)
end

if is_outdated(KEYS[2], ARGV[3], ARGV[2], ARGV[5]) then return 0 end
if redis.call('ZADD', KEYS[1], 'NX', ARGV[2], ARGV[1]) == 1 then
  redis.call('HINCRBY', KEYS[2], 'waiting', 1)
  local dead = tonumber(redis.call('HGET', KEYS[2], 'dead') or 0)
  if ARGV[6] == 'dead' and dead > 0 then redis.call('HINCRBY', KEYS[2], 'dead', -1) end
end
redis.call('HDEL', KEYS[3], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[4])
redis.call('EXPIRE', KEYS[2], ARGV[4])
return 1
`;

export const releaseLease = `
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
return 1
`;

export const renewLease = `
if redis.call('GET', KEYS[2]) ~= ARGV[3] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
`;

export const replaceApiKey = `
if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 0 end
if ARGV[4] and redis.call('HGET', KEYS[1], ARGV[4]) ~= ARGV[5] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
`;

export const replaceAutomation = `
local function append_event(log, body, lineage, trace)
  if body == '' then return nil end
  if lineage == '' and trace == '' then
    return redis.call('XADD', log, '*', 'kind', 'event', 'body', body)
  end
  local fields = { 'kind', 'event', 'body', body }
  for _, field in ipairs({ { 'lineage', lineage }, { 'trace', trace } }) do
    if field[2] ~= '' then
      fields[#fields + 1] = field[1]
      fields[#fields + 1] = field[2]
    end
  end
  return redis.call('XADD', log, '*', unpack(fields))
end

if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
redis.call('XADD', KEYS[2], '*', 'kind', 'automation-put', 'body', ARGV[3])
append_event(KEYS[2], ARGV[4], ARGV[5], ARGV[6])
return 1
`;

export const replaceField = `
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
`;

export const replaceHooks = `
redis.call('DEL', KEYS[1])
for i = 1, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
`;

export const replaceShards = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'fenced' end
if redis.call('GET', KEYS[2]) ~= ARGV[2] then return 'fenced' end
local wish = redis.call('HMGET', KEYS[3], 'count', 'failure')
if wish[1] ~= ARGV[4] or wish[2] then return 'withdrawn' end
local old_count = tonumber(ARGV[5])
for i = 1, old_count do
  if redis.call('GET', KEYS[7 * i - 3]) ~= ARGV[6 + i] then return 'fenced' end
  if redis.call('XLEN', KEYS[7 * i - 2]) > 0 then return 'undispatched' end
end

redis.call('SET', KEYS[2], ARGV[3])
redis.call('DEL', KEYS[3])
for i = 1, old_count do
  local epoch, outbox, lease, cursor, state, open_counts, unresolved = unpack(KEYS, 7 * i - 3, 7 * i + 3)
  redis.call('UNLINK', outbox, cursor, state, open_counts, unresolved)
  if ARGV[6] == '' then
    redis.call('DEL', lease, epoch)
  else
    redis.call('SET', epoch, string.format('%.0f', ARGV[6 + i] + 1))
    redis.call('SET', lease, 'replaced by ' .. ARGV[3], 'PX', ARGV[6])
  end
end
local next_arg = 7 + old_count
for i = 4 + 7 * old_count, #KEYS do
  redis.call('DEL', KEYS[i])
  redis.call('HSET', KEYS[i], 'position', ARGV[next_arg], 'watermark', ARGV[next_arg + 1],
    'read-count', ARGV[next_arg + 2], 'commit-count', 0, 'next-deadline', ARGV[next_arg + 3])
  next_arg = next_arg + 4
end
return 'replaced'
`;

export const scanWindows = `
local found = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local result = { found[1] }
local fields = found[2]
for i = 1, #fields, 2 do
  local kind = string.sub(fields[i], 1, 2)
  if kind == 'k:' or kind == 's:' then result[#result + 1] = fields[i] end
end
return result
`;

export const takeAllowance = `
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local unit_micros = tonumber(ARGV[1])
local full_at = math.max(now, tonumber(redis.call('GET', KEYS[1]) or '0'))
local wait = full_at - now - unit_micros * (ARGV[2] - 1)
if wait > 0 and ARGV[4] ~= '1' then return math.ceil(wait) end
full_at = full_at + unit_micros * ARGV[3]
redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PX', math.ceil((full_at - now) / 1000))
return 0
`;

export const trimLog = `
local count = redis.call('XTRIM', KEYS[1], 'MINID', '~', ARGV[1])
if count > 0 then redis.call('INCRBY', KEYS[2], count) end
return count
`;

export const wakeWaiting = `
local function pop_waiting(waiting, jobs, is_probe, count)
  local ids = {}
  if count <= 0 then return ids end
  if is_probe then
    ids = redis.call('ZRANDMEMBER', waiting, count)
    for _, id in ipairs(ids) do redis.call('ZREM', waiting, id) end
  else
    local popped = redis.call('ZPOPMIN', waiting, count)
    for i = 1, #popped, 2 do ids[#ids + 1] = popped[i] end
  end
  for _, id in ipairs(ids) do
    if redis.call('EXISTS', jobs .. id) == 1 then redis.call('HSET', jobs .. id, 'woken', is_probe and 'probe' or 'drain') end
  end
  return ids
end

if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('SREM', KEYS[2], ARGV[1])
  return {}
end
local is_probe = ARGV[3] == '1'
if is_probe and not redis.call('SET', KEYS[3], '1', 'NX', 'PX', ARGV[4]) then return {} end
return pop_waiting(KEYS[1], ARGV[5], is_probe, tonumber(ARGV[2]))
`;

export const writeJob = `
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'data', ARGV[2])
return 1
`;

export const writeNewState = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '1' then redis.call('UNLINK', KEYS[2]) end
if #ARGV > 2 then redis.call('HSET', KEYS[2], unpack(ARGV, 3)) end
return 1
`;

export const writeOpenWindows = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '1' then redis.call('UNLINK', KEYS[2], KEYS[3]) end

local next_arg = 7
local function with(count, command, key)
  if count > 0 then redis.call(command, key, unpack(ARGV, next_arg, next_arg + count - 1)) end
  next_arg = next_arg + count
end

with(2 * tonumber(ARGV[3]), 'HSET', KEYS[2])
with(tonumber(ARGV[4]), 'HDEL', KEYS[2])
with(tonumber(ARGV[5]), 'SADD', KEYS[3])
with(tonumber(ARGV[6]), 'SREM', KEYS[3])
return 1
`;

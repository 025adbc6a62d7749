-- Says that an engine is alive, and reads what it needs to share the shards with the others: one step, one clock.
--
-- KEYS  1 engines   2 their notes   3 layout   4 resharding   then the lease of each shard of the layout that the caller knows
-- ARGV  1 the engine; '' only reads   2 time to live, in milliseconds   3 the shards that it waits for, separated by commas
--       4 the layout of a workspace that has none yet; '' leaves it so
-- Returns {1 if the engine was not alive before, layout or '', the wanted number of shards or '',
--   for each engine its name, when it expires, when it joined and the shards that it waits for,
--   for each lease its owner or '', and the milliseconds for which it is held}, times as text.

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

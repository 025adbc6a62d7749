-- Stores what has become of a delivery, and ends its turn. Doing it twice does no harm. Does nothing if another worker has
-- the job by now.
--
-- KEYS  1 lane   2 thing   3 requests of people, by id   4 what waits for the endpoint   (the lane, where 6 is '')
--       5 job   6 its lock   7 the endpoints that deliveries wait for
-- ARGV  1 id   2 place   3 target   4 outcome: 'later' (its turn comes again), 'postponed' (the same, and nothing wakes it
--       up before its time), 'accepted' or 'dead'
--       5 how many of those that wait for the endpoint to wake up   6 the endpoint; '' if there is none
--       7 seconds to keep what nobody touches   8 seconds to keep what is known of a thing after its last delivery
--       9 the lock's token   10 the job's data; '' to leave it as it is
-- Returns the ids to wake up: the next in the lane, and those that wait for the endpoint, in the order of their places. Or
-- false: the lock has another token or is gone.

--- @include "pop-waiting"

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

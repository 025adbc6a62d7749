-- Asks the engines for another number of shards. Asking for the present number withdraws what was asked for.
--
-- KEYS  1 layout   2 resharding   3 engines
-- ARGV  1 number of shards
-- Returns 'asked'; 'same': there are so many already; 'other': another number is being changed to; 'none': no engine has
--   ever run; 'no engine': none that can change it is running.

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

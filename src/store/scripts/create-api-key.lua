-- Creates an API key, unless there are too many keys.
--
-- KEYS  1 API keys
-- ARGV  1 id   2 JSON   3 how many keys there may be before, including revoked ones
-- Returns how many there were before; or -1 if there were more than allowed, or one with this id, and then changes nothing.

local count = redis.call('HLEN', KEYS[1])
if count > tonumber(ARGV[3]) or redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then return -1 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return count

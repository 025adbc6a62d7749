-- Changes an API key, unless it has changed since the caller read it.
--
-- KEYS  1 API keys
-- ARGV  1 id   2 JSON that the caller read (empty: there was none)   3 new JSON
-- Returns 1; or 0 if the key has changed, and then changes nothing.

if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1

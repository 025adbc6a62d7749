-- Changes an API key, unless it is no longer what the caller has read.
--
-- KEYS  1 API keys
-- ARGV  1 id   2 JSON as it was read (empty: there was none)   3 JSON as it should be
-- Returns 1; or 0, and changes nothing, when the key is another one now.

if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1

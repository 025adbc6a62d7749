-- Changes an API key, unless it has changed since the caller read it, or another key has that the change relies on.
--
-- KEYS  1 API keys
-- ARGV  1 id   2 JSON that the caller read (empty: there was none)   3 new JSON
--       4 and 5, optional: the id of the other key, and its JSON that the caller read
-- Returns 1; or 0 if one of them has changed, and then changes nothing.

if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 0 end
if ARGV[4] and redis.call('HGET', KEYS[1], ARGV[4]) ~= ARGV[5] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1

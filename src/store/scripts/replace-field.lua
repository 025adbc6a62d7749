-- Changes a field of a hash, unless it has changed or is gone since the caller read it.
--
-- KEYS  1 hash
-- ARGV  1 field   2 value that the caller read   3 new value
-- Returns 1; or 0, and then changes nothing.

if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1

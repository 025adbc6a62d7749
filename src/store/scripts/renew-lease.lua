-- Renews a lease, even an expired one, unless the shard has been claimed since.
--
-- KEYS  1 lease   2 epoch
-- ARGV  1 owner   2 time to live, in milliseconds   3 the owner's epoch
-- Returns 1, or 0 if the shard has been claimed since.

if redis.call('GET', KEYS[2]) ~= ARGV[3] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1

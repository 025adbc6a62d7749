-- Releases a lease, unless the shard has been claimed since.
--
-- KEYS  1 lease   2 epoch
-- ARGV  1 the owner's epoch
-- Returns 1, or 0 if the shard has been claimed since.

if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
return 1

-- Writes a part of the state of a shard that does not exist yet.
--
-- KEYS  1 epoch of whoever changes the number of shards   2 the new shard's state
-- ARGV  1 epoch   2 '1' for the first part, which replaces what an earlier attempt has left   then field and value, repeated
-- Returns 1; 0 if another engine changes the number by now, and then writes nothing.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '1' then redis.call('UNLINK', KEYS[2]) end
if #ARGV > 2 then redis.call('HSET', KEYS[2], unpack(ARGV, 3)) end
return 1

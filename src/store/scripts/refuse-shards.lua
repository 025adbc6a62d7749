-- Gives up changing the number of shards, and says why.
--
-- KEYS  1 epoch of whoever changes the number   2 resharding
-- ARGV  1 epoch   2 reason
-- Returns 1; 0 if another engine changes the number by now.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if redis.call('EXISTS', KEYS[2]) == 1 then redis.call('HSET', KEYS[2], 'failure', ARGV[2]) end
return 1

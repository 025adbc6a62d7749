-- Stores the data of a job, unless another worker has it by now: this one was silent for too long.
--
-- KEYS  1 job   2 its lock
-- ARGV  1 the lock's token   2 data
-- Returns 1; 0, with nothing written, if the lock has another token or is gone.

if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'data', ARGV[2])
return 1

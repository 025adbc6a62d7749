-- Moves a delivery whose turn it is to the lane of another target, at its old place, and ends its turn. Doing it twice does no
-- harm. Does nothing if another worker has the job by now.
--
-- KEYS  1 lane   2 lane of the other target   3 thing   4 what waits for the endpoint (the lane, where 7 is '')
--       5 job   6 its lock
-- ARGV  1 id   2 place   3 the other target   4 '1' even if it is outdated there   5 the lock's token   6 the job's data
--       7 the endpoint; '' if there is none   8 seconds to keep what nobody touches
-- Returns {state, next}. States: 'moved'; 'outdated', with nothing done: a later delivery of the other lane has been accepted;
-- 'lost': the lock has another token or is gone. `next` is the id to wake up, the next in the lane; '' for nobody.

--- @include "is-outdated"

if redis.call('GET', KEYS[6]) ~= ARGV[5] then return { 'lost', '' } end
local id = ARGV[1]
if is_outdated(KEYS[3], ARGV[3], ARGV[2], ARGV[4]) then return { 'outdated', '' } end
redis.call('HSET', KEYS[5], 'data', ARGV[6])
redis.call('ZREM', KEYS[1], '=' .. id)
local left = redis.call('ZREM', KEYS[1], id)
local joined = redis.call('ZADD', KEYS[2], 'NX', ARGV[2], id)
redis.call('HINCRBY', KEYS[3], 'waiting', joined - left)
redis.call('EXPIRE', KEYS[2], ARGV[8])
redis.call('EXPIRE', KEYS[3], ARGV[8])
if ARGV[7] ~= '' then redis.call('ZREM', KEYS[4], id) end
local first = redis.call('ZRANGE', KEYS[1], 0, 0)[1]
if not first or string.sub(first, 1, 1) == '=' then first = '' end
return { 'moved', first }

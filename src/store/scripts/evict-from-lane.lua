-- Removes a delivery from its lane that the queue does not have any more, so that it holds up nobody.
--
-- KEYS  1 lane   2 thing   3 job   4 the queue's completed jobs   5 its failed jobs
-- ARGV  1 id   2 the job's id   3 only if its place is below this
-- Returns 1 if it was removed, or is not there.

local place = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not place then return 1 end
if tonumber(place) >= tonumber(ARGV[3]) then return 0 end
local is_known = redis.call('EXISTS', KEYS[3]) == 1
  and not redis.call('ZSCORE', KEYS[4], ARGV[2])
  and not redis.call('ZSCORE', KEYS[5], ARGV[2])
if is_known then return 0 end
redis.call('ZREM', KEYS[1], ARGV[1], '=' .. ARGV[1])
redis.call('HINCRBY', KEYS[2], 'waiting', -1)
return 1

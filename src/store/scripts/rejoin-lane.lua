-- Puts a delivery that has ended at its old place in its lane. Drops what people asked for before its end.
--
-- KEYS  1 lane   2 thing   3 requests of people, by id
-- ARGV  1 id   2 place   3 target   4 seconds to keep what nobody touches   5 '1' even if it is outdated
--       6 what it was: 'dead' or 'delivered'
-- Returns 1; 0, with nothing done, if a later delivery of the lane has been accepted since.

--- @include "is-outdated"

if is_outdated(KEYS[2], ARGV[3], ARGV[2], ARGV[5]) then return 0 end
if redis.call('ZADD', KEYS[1], 'NX', ARGV[2], ARGV[1]) == 1 then
  redis.call('HINCRBY', KEYS[2], 'waiting', 1)
  local dead = tonumber(redis.call('HGET', KEYS[2], 'dead') or 0)
  if ARGV[6] == 'dead' and dead > 0 then redis.call('HINCRBY', KEYS[2], 'dead', -1) end
end
redis.call('HDEL', KEYS[3], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[4])
redis.call('EXPIRE', KEYS[2], ARGV[4])
return 1

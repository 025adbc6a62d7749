-- Gives new deliveries their places, each behind the earlier ones of its lane. A lane holds the deliveries that are about
-- one thing and go to one target, from their dispatch until their end.
--
-- KEYS  1 clock: the last place that was given   then for each delivery: its job, its lane, its thing
-- ARGV  1 seconds to keep what nobody touches    then for each delivery: its id
-- Returns for each delivery its place, as text, and 1 if others of its lane are before it; '' and 0 for one that the queue
-- knows already.
--
-- A place is the time in microseconds, or one more than the last place. So it grows even if Redis has lost the last
-- second, and says how old it is.

local time = redis.call('TIME')
local place = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), time[1] * 1000000 + time[2])
local places = {}
for i = 1, #ARGV - 1 do
  local job, lane, thing = KEYS[3 * i - 1], KEYS[3 * i], KEYS[3 * i + 1]
  local id = ARGV[i + 1]
  local waits = 0
  local given = ''
  if redis.call('EXISTS', job) == 0 then
    local known = redis.call('ZSCORE', lane, id)
    if known then
      given = known
    else
      place = place + 1
      given = string.format('%.0f', place)
      redis.call('ZADD', lane, given, id)
      redis.call('HINCRBY', thing, 'waiting', 1)
    end
    if redis.call('ZCARD', lane) > 1 then waits = 1 end
    redis.call('EXPIRE', lane, ARGV[1])
    redis.call('EXPIRE', thing, ARGV[1])
  end
  places[2 * i - 1], places[2 * i] = given, waits
end
redis.call('SET', KEYS[1], string.format('%.0f', place))
return places

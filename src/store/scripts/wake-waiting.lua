-- Takes deliveries that wait for an endpoint out of the line, to be woken up.
--
-- KEYS  1 what waits for the endpoint   2 the endpoints that deliveries wait for   3 the latest probe of the endpoint
-- ARGV  1 the endpoint   2 how many   3 '1' for a probe   4 ms for which no other probe is sent
--       5 what the keys of jobs begin with
-- Returns the ids to wake up.

--- @include "pop-waiting"

if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('SREM', KEYS[2], ARGV[1])
  return {}
end
local is_probe = ARGV[3] == '1'
if is_probe and not redis.call('SET', KEYS[3], '1', 'NX', 'PX', ARGV[4]) then return {} end
return pop_waiting(KEYS[1], ARGV[5], is_probe, tonumber(ARGV[2]))

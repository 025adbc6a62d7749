-- Disables an endpoint, unless it is disabled already.
--
-- KEYS  1 disabled endpoints   2 log
-- ARGV  1 id   2 JSON   3 most endpoints that may be disabled   4 body, 5 lineage and 6 trace of the event
-- Returns 1; or 0 if it is disabled already or too many are, and then changes nothing.

--- @include "append-event"

if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) then return 0 end
if redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2]) == 0 then return 0 end
append_event(KEYS[2], ARGV[4], ARGV[5], ARGV[6])
return 1

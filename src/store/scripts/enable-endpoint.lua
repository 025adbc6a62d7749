-- Enables an endpoint.
--
-- KEYS  1 disabled endpoints   2 log
-- ARGV  1 id   2 body, 3 lineage and 4 trace of the event
-- Returns 1; or 0 if it is not disabled, and then changes nothing.

--- @include "append-event"

if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
append_event(KEYS[2], ARGV[2], ARGV[3], ARGV[4])
return 1

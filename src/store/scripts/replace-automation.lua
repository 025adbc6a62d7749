-- Changes an automation, unless it has changed or been deleted since the caller read it.
--
-- KEYS  1 automations   2 log
-- ARGV  1 id   2 JSON that the caller read   3 new JSON   4 body, 5 lineage and 6 trace of the event (an empty body: no
--       event)
-- Returns 1; or 0 if the automation has changed or is gone, and then changes nothing.

--- @include "append-event"

if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
redis.call('XADD', KEYS[2], '*', 'kind', 'automation-put', 'body', ARGV[3])
append_event(KEYS[2], ARGV[4], ARGV[5], ARGV[6])
return 1

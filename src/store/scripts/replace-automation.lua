-- Changes an automation, unless it is no longer what the caller has read.
--
-- KEYS  1 automations   2 log
-- ARGV  1 id   2 JSON as it was read   3 JSON as it should be   4 body, 5 lineage and 6 trace of the event (an empty
--       body: no event)
-- Returns 1; or 0, and changes nothing, when the automation is another one now, or none.

--- @include "append-event"

if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
redis.call('XADD', KEYS[2], '*', 'kind', 'automation-put', 'body', ARGV[3])
append_event(KEYS[2], ARGV[4], ARGV[5], ARGV[6])
return 1

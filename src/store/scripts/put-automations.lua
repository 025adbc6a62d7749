-- Creates or replaces automations, and appends the event that announces each change.
--
-- KEYS  1 automations   2 log
-- ARGV  for each automation: id; JSON; body, lineage and trace of the event (an empty body: no event)
-- Returns nil.

--- @include "append-event"

for i = 1, #ARGV, 5 do
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  redis.call('XADD', KEYS[2], '*', 'kind', 'automation-put', 'body', ARGV[i + 1])
  append_event(KEYS[2], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4])
end

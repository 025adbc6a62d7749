-- Deletes automations with their texts, and appends the event that announces each deletion. Skips those that do not exist.
--
-- KEYS  1 automations   2 log   3 texts of rules
-- ARGV  for each automation: id; body, lineage and trace of the event (an empty body: no event)
-- Returns how many existed.

--- @include "append-event"

local count = 0
for i = 1, #ARGV, 4 do
  redis.call('HDEL', KEYS[3], ARGV[i])
  if redis.call('HDEL', KEYS[1], ARGV[i]) == 1 then
    redis.call('XADD', KEYS[2], '*', 'kind', 'automation-delete', 'body', ARGV[i])
    append_event(KEYS[2], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3])
    count = count + 1
  end
end
return count

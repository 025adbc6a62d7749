-- Replaces all hooks of a workspace.
--
-- KEYS  1 hooks
-- ARGV  for each hook: name, JSON
-- Returns nil.

redis.call('DEL', KEYS[1])
for i = 1, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end

-- Keeps the texts of automations. Skips automations that do not exist, so that no text outlives its automation.
--
-- KEYS  1 automations   2 texts of rules
-- ARGV  for each automation: id; JSON
-- Returns nil.

for i = 1, #ARGV, 2 do
  if redis.call('HEXISTS', KEYS[1], ARGV[i]) == 1 then
    redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
  end
end

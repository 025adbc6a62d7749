-- Looks at a part of a shard's state for windows.
--
-- KEYS  1 state
-- ARGV  1 where to go on, '0' at first   2 about how many fields to look at
-- Returns where to go on ('0' at the end), then the names of the fields of windows, also of those that keys share. Redis may
--   name one twice.

local found = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local result = { found[1] }
local fields = found[2]
for i = 1, #fields, 2 do
  local kind = string.sub(fields[i], 1, 2)
  if kind == 'k:' or kind == 's:' then result[#result + 1] = fields[i] end
end
return result

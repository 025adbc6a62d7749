-- Looks at a part of a shard's state for open windows.
--
-- KEYS  1 state
-- ARGV  1 where to go on, '0' at first   2 about how many fields to look at
--       3 and following: patterns, one of which a window must have in the first line of its state; none for all windows
-- Returns where to go on ('0' at the end), then the names of the fields of those windows, of windows that keys share, and of
--   events that wait for their time to settle. Redis may name one twice.

local found = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local result = { found[1] }
local fields = found[2]

local function is_wanted(field, value)
  local kind = string.sub(field, 1, 2)
  if kind == 's:' or kind == 'p:' then return true end
  if kind ~= 'k:' then return false end
  if #ARGV < 3 then return true end
  local line_end = string.find(value, '\n', 1, true)
  local line = line_end and string.sub(value, 1, line_end - 1) or value
  for i = 3, #ARGV do
    if string.find(line, ARGV[i]) then return true end
  end
  return false
end

for i = 1, #fields, 2 do
  if is_wanted(fields[i], fields[i + 1]) then result[#result + 1] = fields[i] end
end
return result

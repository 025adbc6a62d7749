-- Reads the entries of the log after a position, until they are many or large. XREAD knows no limit of size.
--
-- KEYS  1 log
-- ARGV  1 the position   2 how many entries at most   3 after how many bytes to stop
-- Returns the entries, as XRANGE does. If there are fewer than asked for, either the log ends or they are large.

local part_count = 20 -- an entry may have 1.5 MB, and only those of one part go beyond the limit
local entries, left, length = {}, tonumber(ARGV[2]), 0
local from = '(' .. ARGV[1]
while left > 0 and length < tonumber(ARGV[3]) do
  local wanted = math.min(left, part_count)
  local part = redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', wanted)
  for _, entry in ipairs(part) do
    entries[#entries + 1] = entry
    for _, text in ipairs(entry[2]) do length = length + #text end
  end
  if #part < wanted then break end
  left = left - wanted
  from = '(' .. part[wanted][1]
end
return entries

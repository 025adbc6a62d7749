-- Reads the events of the log after a position, until they are many or large. It returns one flat list, because a client
-- takes most of its time for a nested one.
--
-- KEYS  1 log
-- ARGV  1 the position   2 how many entries at most   3 after how many bytes to stop
-- Returns the position, the body and the lineage of each entry, one after the other. An entry that is not an event has
-- an empty body, and one without lineage an empty one. If there are fewer than asked for, either the log ends or they are
-- large.

local part_count = 20 -- an entry may have 1.5 MB, and only those of one part go beyond the limit
local texts, size, left, length = {}, 0, tonumber(ARGV[2]), 0
local from = '(' .. ARGV[1]
while left > 0 and length < tonumber(ARGV[3]) do
  local wanted = math.min(left, part_count)
  local part = redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', wanted)
  for _, entry in ipairs(part) do
    local fields, kind, body, lineage = entry[2], '', '', ''
    for at = 1, #fields, 2 do
      local name = fields[at]
      if name == 'kind' then kind = fields[at + 1]
      elseif name == 'body' then body = fields[at + 1]
      elseif name == 'lineage' then lineage = fields[at + 1] end
    end
    if kind ~= 'event' then body, lineage = '', '' end
    texts[size + 1], texts[size + 2], texts[size + 3] = entry[1], body, lineage
    size = size + 3
    length = length + #body + #lineage
  end
  if #part < wanted then break end
  left = left - wanted
  from = '(' .. part[wanted][1]
end
return texts

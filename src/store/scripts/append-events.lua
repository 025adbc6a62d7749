-- Appends events to the log, in order.
--
-- KEYS  1 log
-- ARGV  for each group of events: lines, lineage, trace (lineage and trace may be empty). A line is the body of one event,
--       followed by a line break
-- Returns the positions, in order, separated by spaces.

--- @include "append-event"

local positions = {}
for i = 1, #ARGV, 3 do
  local lines = ARGV[i]
  local start = 1
  local stop = string.find(lines, '\n', start, true)
  while stop do
    positions[#positions + 1] = append_event(KEYS[1], string.sub(lines, start, stop - 1), ARGV[i + 1], ARGV[i + 2])
    start = stop + 1
    stop = string.find(lines, '\n', start, true)
  end
end
return table.concat(positions, ' ')

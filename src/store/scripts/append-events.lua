-- Appends events to the log, in order.
--
-- KEYS  1 log
-- ARGV  for each event: body, lineage, trace (lineage and trace may be empty)
-- Returns the positions, in order.

--- @include "append-event"

local positions = {}
for i = 1, #ARGV, 3 do
  positions[#positions + 1] = append_event(KEYS[1], ARGV[i], ARGV[i + 1], ARGV[i + 2])
end
return positions

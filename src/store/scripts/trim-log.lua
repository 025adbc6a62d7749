-- Trims the log, and counts the trimmed entries; lag and totals are computed from that count.
--
-- KEYS  1 log   2 number of trimmed entries
-- ARGV  1 the first position to keep
-- Returns how many entries were trimmed. Redis may keep some older entries until it can remove a whole block.

local count = redis.call('XTRIM', KEYS[1], 'MINID', '~', ARGV[1])
if count > 0 then redis.call('INCRBY', KEYS[2], count) end
return count

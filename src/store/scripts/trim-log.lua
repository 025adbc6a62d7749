-- Trims the log, and counts what it trims: lag and totals are computed from that count.
--
-- KEYS  1 log   2 count of trimmed entries
-- ARGV  1 the first position to keep
-- Returns how many entries were trimmed. Redis may keep some older ones until a whole block of them can go.

local count = redis.call('XTRIM', KEYS[1], 'MINID', '~', ARGV[1])
if count > 0 then redis.call('INCRBY', KEYS[2], count) end
return count

-- Takes units from the rate allowance of an API key.
--
-- A full allowance has a fixed number of units and refills evenly, so it is enough to store the time at which it will be
-- full again.
--
-- KEYS  1 when the allowance is full again, in µs since the epoch; expires at that time
-- ARGV  1 µs in which one unit refills   2 units in a full allowance   3 units to take
--       4 '1': take them even if fewer are left, and owe the rest
-- Returns 0 if they were taken; otherwise the number of µs until a unit is left.

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local unit_micros = tonumber(ARGV[1])
local full_at = math.max(now, tonumber(redis.call('GET', KEYS[1]) or '0'))
local wait = full_at - now - unit_micros * (ARGV[2] - 1)
if wait > 0 and ARGV[4] ~= '1' then return math.ceil(wait) end
full_at = full_at + unit_micros * ARGV[3]
redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PX', math.ceil((full_at - now) / 1000))
return 0

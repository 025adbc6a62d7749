-- Takes from the rate allowance of an API key.
--
-- A full allowance holds a number of units and refills evenly, so all there is to store is the time at which it is full
-- again.
--
-- KEYS  1 when it is full again, in µs since the epoch; expires at that time
-- ARGV  1 µs in which one unit refills   2 units in a full allowance   3 units to take
--       4 '1': take them even if they are not there; what is missing is owed
-- Returns 0 when they were taken; otherwise for how many µs there is nothing to take.

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local each = tonumber(ARGV[1])
local full = math.max(now, tonumber(redis.call('GET', KEYS[1]) or '0'))
local wait = full - now - each * (ARGV[2] - 1)
if wait > 0 and ARGV[4] ~= '1' then return math.ceil(wait) end
full = full + each * ARGV[3]
redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000))
return 0

-- Appends a beat to the log, unless there has been one recently. So all processes together append as many as one does.
--
-- KEYS  1 log   2 time of the last beat, in milliseconds since the epoch
-- ARGV  1 how many milliseconds must lie between two beats   2 after how many milliseconds without one beats have ended
--       3 '1' to begin with beats if there are none
-- Returns 1 if it appended one, else 0.

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local last = tonumber(redis.call('GET', KEYS[2]) or '')
if not last and ARGV[3] ~= '1' then return 0 end
-- A clock that stepped back must not end the beats.
if last and now >= last and now - last < tonumber(ARGV[1]) then return 0 end
redis.call('XADD', KEYS[1], '*', 'kind', 'beat', 'body', '')
redis.call('SET', KEYS[2], string.format('%.0f', now), 'PX', ARGV[2])
return 1

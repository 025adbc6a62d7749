-- Takes a shard's lease if it is free, has expired, or already belongs to this owner.
--
-- KEYS  1 lease   2 epoch   3 layout
-- ARGV  1 owner   2 time to live, in milliseconds   3 the layout that the shard belongs to   4 '1' to take it from another
--         owner, who is fenced off
-- Returns {epoch, 0}, with the new fencing token as text; or {false, milliseconds for which another owner still holds it}.
--   While the workspace has another layout, nobody can claim the shard, and the time to live is returned.
--
-- The epoch grows with each claim, even by the same owner, so that commits sent before the claim are refused. It is at
-- least the current time, so that it does not repeat an old epoch even if Redis has lost the last one.

local layout = redis.call('GET', KEYS[3])
if layout and layout ~= ARGV[3] then return { false, tonumber(ARGV[2]) } end
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] and ARGV[4] ~= '1' then
  return { false, redis.call('PTTL', KEYS[1]) }
end
local time = redis.call('TIME')
local milliseconds = time[1] * 1000 + math.floor(time[2] / 1000)
local epoch = math.max(tonumber(redis.call('GET', KEYS[2]) or 0) + 1, milliseconds)
local text = string.format('%.0f', epoch)
redis.call('SET', KEYS[2], text)
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return { text, 0 }

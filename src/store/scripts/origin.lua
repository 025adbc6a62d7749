-- Reads where a shard starts that has never committed.
--
-- KEYS  1 log   2 number of trimmed entries   3 automations
-- Returns {'0-0', 0, {}, time} while the log is complete, because replaying it from the start includes the automations.
--   Otherwise {newest position, number of entries ever, every automation, time}.

local time = redis.call('TIME')
local trimmed = tonumber(redis.call('GET', KEYS[2]) or 0)
if trimmed == 0 then return { '0-0', 0, {}, time } end
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
local position = newest[1] and newest[1][1] or '0-0'
return { position, trimmed + redis.call('XLEN', KEYS[1]), redis.call('HVALS', KEYS[3]), time }

-- Writes how many windows of automations are open.
--
-- KEYS  1 epoch   2 counts of open windows
-- ARGV  1 the owner's epoch   2 '1' to replace what is there   3 number of automations to set
--       4 and following: id and value of each to set; id of each to delete. At most 2,000 in all
-- Returns 1, or 0 if the shard has been claimed since.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '1' then redis.call('UNLINK', KEYS[2]) end
local last_set = 3 + 2 * tonumber(ARGV[3])
if last_set > 3 then redis.call('HSET', KEYS[2], unpack(ARGV, 4, last_set)) end
if #ARGV > last_set then redis.call('HDEL', KEYS[2], unpack(ARGV, last_set + 1)) end
return 1

-- Writes how many windows of a shard are open, and which are unresolved.
--
-- KEYS  1 epoch   2 counts of open windows   3 unresolved windows
-- ARGV  1 the owner's epoch   2 '1' to replace what is there
--       3 number of counts to set   4 to delete   5 number of windows to add   6 to remove
--       7 and following: field and value of each count to set; field of each to delete; each window to add; each to remove.
--         At most 2,000 of each
-- Returns 1, or 0 if the shard has been claimed since.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '1' then redis.call('UNLINK', KEYS[2], KEYS[3]) end

local next_arg = 7
local function with(count, command, key)
  if count > 0 then redis.call(command, key, unpack(ARGV, next_arg, next_arg + count - 1)) end
  next_arg = next_arg + count
end

with(2 * tonumber(ARGV[3]), 'HSET', KEYS[2])
with(tonumber(ARGV[4]), 'HDEL', KEYS[2])
with(tonumber(ARGV[5]), 'SADD', KEYS[3])
with(tonumber(ARGV[6]), 'SREM', KEYS[3])
return 1

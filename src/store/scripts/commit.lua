-- Writes everything that follows from some log entries: all of it or nothing.
--
-- KEYS  1 epoch   2 cursor   3 state   4 log   5 outbox   6 and following: hashes of counts
-- ARGV  1 the owner's epoch
--       2 the number of this commit: one above the last one
--       3 position   4 watermark   5 number of entries read
--       6 the next time at which time alone changes something; empty if there is none
--       7 number of fields to set   8 number of fields to delete   9 number of events to append   10 number of counts
--       11 and following: field and value of each field to set; each field to delete; body, lineage and trace of each event
--             (lineage and trace may be empty); of each count, the number of its key, field, increment, and when the key
--             expires in seconds since the epoch ('' for never); JSON of each invocation
-- Returns {outcome, …}: 'fenced' (the shard has another owner now), 'out of step' (the last commit is not the one before this
--   one), or 'committed', then the position of each invocation in the outbox, in order.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return { 'fenced' } end
local commit_count = tonumber(redis.call('HGET', KEYS[2], 'commit-count') or 0)
if commit_count + 1 ~= tonumber(ARGV[2]) then return { 'out of step' } end

--- @include "append-event"

local next_arg = 11

-- Lua accepts about 8000 arguments per call.
local function in_chunks(count, command, key)
  local last = next_arg + count - 1
  while next_arg <= last do
    local chunk_last = math.min(next_arg + 999, last)
    redis.call(command, key, unpack(ARGV, next_arg, chunk_last))
    next_arg = chunk_last + 1
  end
end

in_chunks(2 * tonumber(ARGV[7]), 'HSET', KEYS[3])
in_chunks(tonumber(ARGV[8]), 'HDEL', KEYS[3])
for _ = 1, tonumber(ARGV[9]) do
  append_event(KEYS[4], ARGV[next_arg], ARGV[next_arg + 1], ARGV[next_arg + 2])
  next_arg = next_arg + 3
end
for _ = 1, tonumber(ARGV[10]) do
  local key, field, increment, expires = KEYS[tonumber(ARGV[next_arg])], unpack(ARGV, next_arg + 1, next_arg + 3)
  -- A new field may be the first of its key.
  if redis.call('HINCRBY', key, field, increment) == tonumber(increment) and expires ~= '' then
    redis.call('EXPIREAT', key, expires)
  end
  next_arg = next_arg + 4
end
local result = { 'committed' }
while next_arg <= #ARGV do
  result[#result + 1] = redis.call('XADD', KEYS[5], '*', 'invocation', ARGV[next_arg])
  next_arg = next_arg + 1
end
redis.call('HSET', KEYS[2],
  'position', ARGV[3], 'watermark', ARGV[4], 'read-count', ARGV[5], 'commit-count', ARGV[2],
  'next-deadline', ARGV[6])
return result

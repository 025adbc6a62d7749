-- Writes everything that follows from some log entries, or nothing.
--
-- KEYS  1 epoch   2 cursor   3 state   4 log   5 outbox
-- ARGV  1 the owner's epoch
--       2 the commit's number: one above the committed one
--       3 position   4 watermark   5 count of entries read
--       6 how many fields are set   7 how many are deleted   8 how many events are appended
--       9 on: for each field set, field and value; each field deleted; for each event, its body, lineage and trace
--             (the last two may be empty); for each invocation, its JSON
-- Returns 'committed', 'fenced' (claimed by another since) or 'out of step' (the commit before this one is not here).

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'fenced' end
local commit_count = tonumber(redis.call('HGET', KEYS[2], 'commit-count') or 0)
if commit_count + 1 ~= tonumber(ARGV[2]) then return 'out of step' end

--- @include "append-event"

local at = 9

-- Lua passes at most some 8000 arguments to one call.
local function in_chunks(count, command, key)
  local last = at + count - 1
  while at <= last do
    local chunk_last = math.min(at + 999, last)
    redis.call(command, key, unpack(ARGV, at, chunk_last))
    at = chunk_last + 1
  end
end

in_chunks(2 * tonumber(ARGV[6]), 'HSET', KEYS[3])
in_chunks(tonumber(ARGV[7]), 'HDEL', KEYS[3])
for _ = 1, tonumber(ARGV[8]) do
  append_event(KEYS[4], ARGV[at], ARGV[at + 1], ARGV[at + 2])
  at = at + 3
end
while at <= #ARGV do
  redis.call('XADD', KEYS[5], '*', 'invocation', ARGV[at])
  at = at + 1
end
redis.call('HSET', KEYS[2],
  'position', ARGV[3], 'watermark', ARGV[4], 'read-count', ARGV[5], 'commit-count', ARGV[2])
return 'committed'

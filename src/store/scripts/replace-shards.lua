-- Replaces the shards of a workspace by others, whose states are written: all of it or nothing.
--
-- KEYS  1 epoch of whoever changes the number   2 layout   3 resharding
--       then of each old shard: epoch, outbox, lease, cursor, state, counts of open windows,
--       unresolved windows; then of each new shard: cursor
-- ARGV  1 epoch   2 the old layout   3 the new one   4 the number of shards that was asked for   5 number of old shards
--       6 milliseconds for which nobody can claim the old shards; '' for shards that only versions can claim which know
--         about layouts
--       then of each old shard: the epoch under which it was stopped
--       then of each new shard: position, watermark, number of entries read, next deadline or ''
-- Returns 'replaced'; 'fenced': another engine has claimed a shard or the change; 'withdrawn': nobody asks for it any more;
--   'undispatched': an outbox is not empty.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'fenced' end
if redis.call('GET', KEYS[2]) ~= ARGV[2] then return 'fenced' end
local wish = redis.call('HMGET', KEYS[3], 'count', 'failure')
if wish[1] ~= ARGV[4] or wish[2] then return 'withdrawn' end
local old_count = tonumber(ARGV[5])
for i = 1, old_count do
  if redis.call('GET', KEYS[7 * i - 3]) ~= ARGV[6 + i] then return 'fenced' end
  if redis.call('XLEN', KEYS[7 * i - 2]) > 0 then return 'undispatched' end
end

redis.call('SET', KEYS[2], ARGV[3])
redis.call('DEL', KEYS[3])
for i = 1, old_count do
  local epoch, outbox, lease, cursor, state, open_counts, unresolved = unpack(KEYS, 7 * i - 3, 7 * i + 3)
  redis.call('UNLINK', outbox, cursor, state, open_counts, unresolved)
  if ARGV[6] == '' then
    redis.call('DEL', lease, epoch)
  else
    redis.call('SET', epoch, string.format('%.0f', ARGV[6 + i] + 1))
    redis.call('SET', lease, 'replaced by ' .. ARGV[3], 'PX', ARGV[6])
  end
end
local next_arg = 7 + old_count
for i = 4 + 7 * old_count, #KEYS do
  redis.call('DEL', KEYS[i])
  redis.call('HSET', KEYS[i], 'position', ARGV[next_arg], 'watermark', ARGV[next_arg + 1],
    'read-count', ARGV[next_arg + 2], 'commit-count', 0, 'next-deadline', ARGV[next_arg + 3])
  next_arg = next_arg + 4
end
return 'replaced'

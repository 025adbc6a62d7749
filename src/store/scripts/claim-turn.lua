-- Says whether it is a delivery's turn in its lane; if so, nobody else's turn comes until it leaves.
--
-- KEYS  1 lane   2 thing   3 requests of people, by id   4 the job's lock   5 the job
-- ARGV  1 id   2 place   3 target   4 '1' even if it is outdated   5 the lock's token
-- Returns {state, other, request, woken}. States: 'turn'; 'wait', for the delivery `other`; 'outdated': a later delivery of the
-- lane has been accepted; 'lost': another worker has the job. `request` is what a person asked for, or ''.
-- `woken` is 'probe' or 'drain' if it was woken up because its endpoint may work again or does.
--
-- The one whose turn it is has a second member in the lane, '=' and its id, in front of all others.

--- @include "is-outdated"

if redis.call('GET', KEYS[4]) ~= ARGV[5] then return { 'lost', '', '', '' } end
local woken = redis.call('HGET', KEYS[5], 'woken') or ''
if woken ~= '' then redis.call('HDEL', KEYS[5], 'woken') end
local request = redis.call('HGET', KEYS[3], ARGV[1]) or ''
if redis.call('ZADD', KEYS[1], 'NX', ARGV[2], ARGV[1]) == 1 then
  redis.call('HINCRBY', KEYS[2], 'waiting', 1)
end
if is_outdated(KEYS[2], ARGV[3], ARGV[2], ARGV[4]) then return { 'outdated', '', request, woken } end
local first = redis.call('ZRANGE', KEYS[1], 0, 0)[1]
if first == '=' .. ARGV[1] then return { 'turn', '', request, woken } end
if first ~= ARGV[1] then return { 'wait', string.gsub(first, '^=', ''), request, woken } end
redis.call('ZADD', KEYS[1], -1, '=' .. ARGV[1])
return { 'turn', '', request, woken }

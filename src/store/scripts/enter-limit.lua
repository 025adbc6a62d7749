-- Admits a request to something with limits, or says how long to wait. Both limits are checked before either is used.
--
-- A request in flight holds a slot until it gives it back; the slot of a process that died frees itself. For the rate, the time of
-- each request is remembered for one period. A delivery that must wait for the rate gets the first time that is free for
-- it, in line behind those that wait already, and keeps its place by its id. So each comes back once, in turn. Nobody knows
-- when a slot will be free: whoever gives one back wakes the first that waits. In case it cannot, those that wait ask again
-- by themselves, less and less often.
--
-- KEYS  1 sorted set of slots   2 sorted set of times   3 sorted set of deliveries that wait for a slot
-- ARGV  1 holder; one that has a slot only keeps it for longer   2 delivery, or '' to do no more than that
--       3 most requests in flight, or '' for no such limit   4 µs after which a slot frees itself
--       5 most requests in a period, or '' for no such limit   6 µs in a period
--       7 shortest and 8 longest wait before a delivery asks for a slot again, in µs
-- Returns {0, 0} if the request is admitted; {1, µs} to wait for a slot; {2, µs} to wait for the rate.

local holder, delivery = ARGV[1], ARGV[2]
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local function text(micros) return string.format('%.0f', micros) end
local function expire(key, micros) redis.call('PEXPIRE', key, math.ceil(micros / 1000) + 1000) end
local function hold_slot()
  redis.call('ZADD', KEYS[1], text(now + ARGV[4]), holder)
  expire(KEYS[1], ARGV[4])
end

if ARGV[3] ~= '' then
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', text(now))
  if redis.call('ZSCORE', KEYS[1], holder) then
    hold_slot()
    return { 0, 0 }
  end
  if delivery == '' then return { 0, 0 } end
  if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then
    local since = redis.call('ZSCORE', KEYS[3], delivery) or now
    redis.call('ZADD', KEYS[3], text(since), delivery)
    expire(KEYS[3], 4 * ARGV[8])
    return { 1, math.min(math.max(now - since, ARGV[7]), ARGV[8]) }
  end
end

if ARGV[5] ~= '' then
  local count, period = tonumber(ARGV[5]), tonumber(ARGV[6])
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', text(now - period))
  local place = redis.call('ZSCORE', KEYS[2], delivery)
  local last = '+inf'
  if place then
    last = text(math.max(now, tonumber(place)))
    redis.call('ZREM', KEYS[2], delivery)
  end
  local ahead = redis.call('ZCOUNT', KEYS[2], '-inf', last)
  local newest = redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')[2] or 0
  local turn = now
  if ahead >= count then
    local nth = redis.call('ZRANGE', KEYS[2], ahead - count, ahead - count, 'WITHSCORES')[2]
    turn = nth + period
    if not place then turn = math.max(turn, newest + 1) end
  end
  redis.call('ZADD', KEYS[2], text(turn), turn > now and delivery or holder)
  expire(KEYS[2], math.max(turn, newest) + period - now)
  if turn > now then return { 2, math.ceil(turn - now) } end
end

if ARGV[3] ~= '' then
  redis.call('ZREM', KEYS[3], delivery)
  hold_slot()
end
return { 0, 0 }

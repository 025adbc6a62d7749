-- Gives a slot back, if it is held, and takes the first out of the line of those that wait for one.
--
-- KEYS  1 sorted set of slots   2 sorted set of deliveries that wait for a slot
-- ARGV  1 holder
-- Returns the delivery to wake up; false if none waits.

redis.call('ZREM', KEYS[1], ARGV[1])
return redis.call('ZPOPMIN', KEYS[2])[1] or false

-- Reads the oldest invocations of an outbox, and writes, so that the reader can wait until replicas have all of it.
--
-- KEYS  1 outbox   2 epoch
-- ARGV  1 how many at most
-- Returns entries as XRANGE does.

local epoch = redis.call('GET', KEYS[2])
if epoch then redis.call('SET', KEYS[2], epoch) end
return redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', ARGV[1])

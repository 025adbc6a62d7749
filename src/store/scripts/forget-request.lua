-- Forgets what a person asked for, unless they have asked for something else since.
--
-- KEYS  1 requests of people, by id
-- ARGV  1 the delivery's id   2 what was followed
-- Returns 1.

if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then redis.call('HDEL', KEYS[1], ARGV[1]) end
return 1

-- A fragment for scripts that wake up deliveries that wait for an endpoint: `--- @include "pop-waiting"`.
--
-- pop_waiting(waiting, jobs, is_probe, count) takes deliveries out of the sorted set `waiting`: the oldest, or for a probe any of
-- them, because the oldest may be what the endpoint cannot digest. `jobs` is what the keys of jobs begin with.
-- Returns their ids. Their jobs know what they were woken up for: 'probe' or 'drain'.

local function pop_waiting(waiting, jobs, is_probe, count)
  local ids = {}
  if count <= 0 then return ids end
  if is_probe then
    ids = redis.call('ZRANDMEMBER', waiting, count)
    for _, id in ipairs(ids) do redis.call('ZREM', waiting, id) end
  else
    local popped = redis.call('ZPOPMIN', waiting, count)
    for i = 1, #popped, 2 do ids[#ids + 1] = popped[i] end
  end
  for _, id in ipairs(ids) do
    if redis.call('EXISTS', jobs .. id) == 1 then redis.call('HSET', jobs .. id, 'woken', is_probe and 'probe' or 'drain') end
  end
  return ids
end

-- A fragment for scripts that put or keep a delivery in a lane: `--- @include "is-outdated"`.
--
-- is_outdated(thing, target, place, insists) says whether the target has accepted a later delivery about the thing than the one
-- at this place. Never if `insists` is '1'.

local function is_outdated(thing, target, place, insists)
  if insists == '1' then return false end
  local accepted = redis.call('HGET', thing, 'accepted:' .. target)
  return accepted and tonumber(accepted) > tonumber(place)
end

-- A fragment for scripts that append events: `--- @include "append-event"`.
--
-- append_event(log, body, lineage, trace) appends one event to the stream `log`. An empty lineage or trace is left out.
-- Returns the event's position. If the body is empty, appends nothing and returns nil.

local function append_event(log, body, lineage, trace)
  if body == '' then return nil end
  if lineage == '' and trace == '' then
    return redis.call('XADD', log, '*', 'kind', 'event', 'body', body)
  end
  local fields = { 'kind', 'event', 'body', body }
  for _, field in ipairs({ { 'lineage', lineage }, { 'trace', trace } }) do
    if field[2] ~= '' then
      fields[#fields + 1] = field[1]
      fields[#fields + 1] = field[2]
    end
  end
  return redis.call('XADD', log, '*', unpack(fields))
end

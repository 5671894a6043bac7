-- What waits for a person is Suspended: a sync of several waves stops there, one of a single wave does not.
-- Access that has ended is Healthy: nothing is wrong, and nothing will change.
local function condition(wanted)
  if obj.status ~= nil and obj.status.conditions ~= nil then
    for _, found in ipairs(obj.status.conditions) do
      if found.type == wanted then
        return found
      end
    end
  end
  return nil
end

local function is_true(wanted)
  local found = condition(wanted)
  return found ~= nil and found.status == "True"
end

local health = {status = "Progressing", message = "not looked at yet"}
if obj.status == nil or obj.status.conditions == nil then
  return health
end
if obj.status.message ~= nil then
  health.message = obj.status.message
end

if is_true("Stalled") then
  health.status = "Degraded"
  return health
end
if obj.metadata.deletionTimestamp ~= nil then
  return health
end
if obj.status.observedGeneration ~= obj.metadata.generation then
  return health
end
if is_true("Complete") then
  health.status = "Healthy"
  health.message = "ended: " .. health.message
  return health
end

local ready = condition("Ready")
if ready == nil then
  return health
end
if ready.status == "True" then
  health.status = "Healthy"
elseif ready.reason == "PendingApproval" or ready.reason == "PendingMFA" or ready.reason == "Suspended" then
  health.status = "Suspended"
end
return health

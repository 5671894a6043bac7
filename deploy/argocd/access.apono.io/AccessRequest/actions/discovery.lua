local phase = ""
if obj.status ~= nil and obj.status.phase ~= nil then
  phase = obj.status.phase
end
local function is_one_of(phases)
  for _, one in ipairs(phases) do
    if one == phase then
      return true
    end
  end
  return false
end

local is_going = obj.metadata.deletionTimestamp ~= nil
local is_live = is_one_of({"Submitting", "Pending", "PendingMFA", "Granting", "Active", "Renewing", "Unknown"})
-- What was never asked for cannot be asked for again; it is asked for when what is in the way is gone.
local is_over = is_one_of({"Ended", "Rejected", "Failed"}) and obj.status.attempt ~= nil

local actions = {}
actions["refresh"] = {["disabled"] = is_going}
actions["revoke"] = {["disabled"] = is_going or not is_live}
actions["request-again"] = {["disabled"] = is_going or not is_over}
return actions

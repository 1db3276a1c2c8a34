
-- Stops new work on the object.
local function pause()
  if is_paused then
    return nil, "The object is paused already"
  end
  return "true"
end


-- Continues work on the object, by removing the annotation. The value is not used.
local function resume()
  if not is_paused then
    return nil, "The object is not paused"
  end
  return ""
end

-- A field of a table; nil for any other value.
local function field(object, name)
  if type(object) == "table" then
    return object[name]
  end
  return nil
end

local metadata, spec, status = field(obj, "metadata"), field(obj, "spec"), field(obj, "status")
local annotations = field(metadata, "annotations")
local is_deleting = field(metadata, "deletionTimestamp") ~= nil
local is_paused = field(annotations, "beyondidentity.dev/paused") == "true"

-- A field of the status, if it is a string with text.
local function text(name)
  local value = field(status, name)
  if type(value) == "string" and value ~= "" then
    return value
  end
  return nil
end

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

-- Stops new work on the object.
local function pause()
  if is_paused then
    return nil, "The object is paused already"
  end
  return "true"
end

local value, reason = pause()
if value == nil then
  error(reason, 0)
end
if type(obj.metadata.annotations) ~= "table" then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["beyondidentity.dev/paused"] = value
return obj

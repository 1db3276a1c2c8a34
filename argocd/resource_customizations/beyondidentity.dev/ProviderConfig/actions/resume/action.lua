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

-- Continues work on the object, by removing the annotation. The value is not used.
local function resume()
  if not is_paused then
    return nil, "The object is not paused"
  end
  return ""
end

local value, reason = resume()
if value == nil then
  error(reason, 0)
end
obj.metadata.annotations["beyondidentity.dev/paused"] = nil
return obj

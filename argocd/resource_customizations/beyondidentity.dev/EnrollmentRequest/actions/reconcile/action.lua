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

-- Requests a reconcile, by another value than the last one.
local function reconcile()
  local kind = field(obj, "kind")
  -- The credentials of a paused provider config are still checked.
  if is_paused and kind ~= "ProviderConfig" and kind ~= "ClusterProviderConfig" then
    return nil, "The object is paused; resume it first"
  end
  local value = "resourceVersion-" .. tostring(field(metadata, "resourceVersion"))
  local requested = field(annotations, "beyondidentity.dev/reconcile-requested-at")
  while value == requested or value == text("lastHandledReconcileAt") do
    value = value .. "+"
  end
  return value
end

local value, reason = reconcile()
if value == nil then
  error(reason, 0)
end
if type(obj.metadata.annotations) ~= "table" then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["beyondidentity.dev/reconcile-requested-at"] = value
return obj

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

-- Stops new work on the object.
local function pause()
  if is_paused then
    return nil, "The object is paused already"
  end
  return "true"
end

-- Continues work on the object, by removing the annotation. The value is not used.
local function resume()
  if not is_paused then
    return nil, "The object is not paused"
  end
  return ""
end

local function action(offered, name, icon)
  return { ["disabled"] = offered == nil, ["displayName"] = name, ["iconClass"] = icon }
end

return {
  ["reconcile"] = action(reconcile(), "Reconcile", "fa fa-fw fa-sync"),
  ["pause"] = action(pause(), "Pause", "fa fa-fw fa-pause-circle"),
  ["resume"] = action(resume(), "Resume", "fa fa-fw fa-play-circle"),
}


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

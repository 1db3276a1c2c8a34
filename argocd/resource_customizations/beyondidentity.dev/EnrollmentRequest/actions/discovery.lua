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

-- The job whose link may be revoked or sent again. nil and the reason, if there is none or work on it is pending.
local function current_job()
  if is_deleting then
    return nil, "The request is being deleted"
  elseif is_paused then
    return nil, "The request is paused; resume it first"
  elseif field(status, "send") ~= nil then
    return nil, "An email is being sent, or its outcome is unknown; wait until status.send is gone"
  elseif text("jobID") == nil then
    return nil, "The request has sent no email"
  end
  return text("jobID")
end

-- Sends another email. The value names the job and its state, so it acts once.
local function resend()
  local job, reason = current_job()
  if job == nil then
    return nil, reason
  end
  if field(spec, "revoked") == true then
    return nil, "Nothing is sent while spec.revoked is true; set it to false"
  end
  local attempt, wanted = field(status, "attempt"), field(spec, "attempt")
  if type(attempt) ~= "number" then
    return nil, "The request has sent no email"
  elseif type(wanted) == "number" and wanted > attempt then
    return nil, "Attempt " .. tostring(wanted) .. " of spec.attempt is about to be sent"
  end
  local state, requested = field(status, "state"), field(annotations, "beyondidentity.dev/resend")
  local is_dead = state == "EXPIRED" or state == "FAILED_TO_SEND" or state == "REVOKED"
  -- A job can still be shown as active after its link has expired.
  local is_expired = type(state) == "string" and field(status, "expired") == true
  if not is_dead and not is_expired then
    return nil, "The link is active, or has been used; raise spec.attempt to send another email"
  end
  if (is_dead and requested == job .. "/" .. state) or (is_expired and requested == job .. "/EXPIRED") then
    return nil, "Another email has been requested already"
  end
  return job .. "/" .. (is_dead and state or "EXPIRED")
end

-- Revokes the link. The value names the job, so it acts once.
local function revoke()
  local job, reason = current_job()
  if job == nil then
    return nil, reason
  end
  local state = field(status, "state")
  if state == "COMPLETE" or state == "EXPIRED" or state == "FAILED_TO_SEND" or state == "REVOKED" then
    return nil, "The link is not active"
  elseif text("identityID") == nil then
    return nil, "The request has sent no email"
  elseif field(spec, "revoked") == true or field(annotations, "beyondidentity.dev/revoke") == job then
    return nil, "The revocation has been requested already"
  end
  return job
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
  ["resend"] = action(resend(), "Send again", "fa fa-fw fa-paper-plane"),
  ["revoke"] = action(revoke(), "Revoke link", "fa fa-fw fa-ban"),
  ["reconcile"] = action(reconcile(), "Reconcile", "fa fa-fw fa-sync"),
  ["pause"] = action(pause(), "Pause", "fa fa-fw fa-pause-circle"),
  ["resume"] = action(resume(), "Resume", "fa fa-fw fa-play-circle"),
}

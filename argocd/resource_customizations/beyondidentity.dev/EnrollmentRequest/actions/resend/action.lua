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

local value, reason = resend()
if value == nil then
  error(reason, 0)
end
if type(obj.metadata.annotations) ~= "table" then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["beyondidentity.dev/resend"] = value
return obj

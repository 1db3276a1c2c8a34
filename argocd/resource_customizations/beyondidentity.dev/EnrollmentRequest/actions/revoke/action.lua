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

local value, reason = revoke()
if value == nil then
  error(reason, 0)
end
if type(obj.metadata.annotations) ~= "table" then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["beyondidentity.dev/revoke"] = value
return obj

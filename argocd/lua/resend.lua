
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

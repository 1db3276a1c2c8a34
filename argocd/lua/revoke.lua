
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

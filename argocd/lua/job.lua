
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


local result = health()
if result.status ~= "Healthy" then
  return result
end

-- Healthy once the person has bound a passkey. A revoked request waits for nobody, so it is Healthy too.
local succeeded, is_revoked = nil, false
for _, condition in ipairs(obj.status.conditions) do
  if type(condition) == "table" and condition.type == "Succeeded" then
    succeeded = condition.status
  elseif type(condition) == "table" and condition.type == "Ready" then
    is_revoked = condition.reason == "Revoked"
  end
end
if succeeded == "True" or is_revoked then
  return result
elseif succeeded == "False" then
  return { status = "Degraded", message = result.message }
end
return { status = "Progressing", message = result.message }

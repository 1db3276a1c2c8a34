-- The status is in kstatus format (sigs.k8s.io/cli-utils, pkg/kstatus): Reconciling and Stalled are present only while they
-- are True. Ready means that the API of Beyond Identity has accepted the spec. Whether a person has bound a passkey, which
-- can take days, is the condition Succeeded. It does not decide the health.

-- A field of a table; nil for any other value.
local function field(object, name)
  if type(object) == "table" then
    return object[name]
  end
  return nil
end

local metadata, status = field(obj, "metadata"), field(obj, "status")
local conditions = field(status, "conditions")
if type(conditions) ~= "table" then
  conditions = {}
end

-- The first condition of this type, with this status if one is given.
local function find(wanted_type, wanted_status)
  for _, condition in ipairs(conditions) do
    local is_status = wanted_status == nil or field(condition, "status") == wanted_status
    if field(condition, "type") == wanted_type and is_status then
      return condition
    end
  end
  return nil
end

-- The message of a condition, or another one if it has none.
local function message_of(condition, otherwise)
  local message = field(condition, "message")
  if type(message) == "string" and message ~= "" then
    return message
  end
  return otherwise
end

local function health(code, message)
  return { status = code, message = message }
end

local paused, ready = find("Paused", "True"), find("Ready")

if field(metadata, "deletionTimestamp") ~= nil then
  -- The annotation stops a deletion too.
  return health("Progressing", message_of(paused or ready, "The object is being deleted"))
end

-- The condition says that work has stopped, and the annotation that it stays so.
local wants_pause = field(field(metadata, "annotations"), "beyondidentity.dev/paused") == "true"
if wants_pause and paused ~= nil then
  return health("Suspended", message_of(paused, "The object is paused"))
elseif wants_pause then
  return health("Progressing", "Waiting until the operator has paused the object")
elseif paused ~= nil then
  return health("Progressing", "Waiting until the operator resumes work on the object")
end

local generation, observed = field(metadata, "generation"), field(status, "observedGeneration")
if type(generation) ~= "number" or observed ~= generation then
  return health("Progressing", "Waiting until the operator has reconciled the latest change")
end

local stalled, reconciling = find("Stalled", "True"), find("Reconciling", "True")
if stalled ~= nil then
  return health("Degraded", message_of(stalled, "The object is stalled"))
elseif reconciling ~= nil then
  return health("Progressing", message_of(reconciling, "The object is being reconciled"))
elseif field(ready, "status") ~= "True" then
  return health("Progressing", message_of(ready, "Waiting until the object is ready"))
end

-- Conditions beside Ready, which are present only while they say something.
local ready_message = message_of(ready, "The object is ready")
local message = ready_message
for _, beside in ipairs({ "Succeeded", "RevokeRefused", "FieldNotUnset", "Degraded" }) do
  local more = message_of(find(beside), ready_message)
  if more ~= ready_message then
    message = message .. "; " .. more
  end
end
return health("Healthy", message)

-- Health of an ImageShare, from its conditions (kstatus): see docs/argocd.md.
local hs = { status = "Progressing", message = "Waiting for the operator." }

local status = obj.status
if status == nil or status.conditions == nil then
  return hs
end
if status.observedGeneration ~= obj.metadata.generation then
  hs.message = "The operator has not seen the last change yet."
  return hs
end

local conditions = {}
for _, condition in ipairs(status.conditions) do
  conditions[condition.type] = condition
end
local function is(kind, value)
  return conditions[kind] ~= nil and conditions[kind].status == value
end

if obj.metadata.deletionTimestamp ~= nil then
  hs.message = "The image is being taken back."
  if is("DeletionBlocked", "True") then
    hs.message = conditions.DeletionBlocked.message
  end
elseif is("Stalled", "True") then
  hs.status = "Degraded"
  hs.message = conditions.Stalled.message
elseif is("Reconciling", "True") then
  hs.message = conditions.Reconciling.message
elseif is("Ready", "True") then
  hs.status = "Healthy"
  hs.message = conditions.Ready.message
  -- Whether consumers accept is theirs to say: a sync must not wait for it.
  if is("Accepted", "False") then
    hs.message = conditions.Accepted.message
  end
end
return hs

-- Health of a CloudImage, from its conditions (kstatus): see docs/argocd.md.
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
  hs.message = "The image is being deleted."
  if is("DeletionBlocked", "True") then
    hs.message = conditions.DeletionBlocked.message
  end
elseif is("Stalled", "True") then
  hs.status = "Degraded"
  hs.message = conditions.Stalled.message
elseif is("Reconciling", "True") then
  hs.message = conditions.Reconciling.message
  local progress = status.progress
  if progress ~= nil and progress.percent ~= nil then
    hs.message = progress.stage .. " " .. progress.percent .. "%"
  end
elseif is("Ready", "True") then
  hs.status = "Healthy"
  hs.message = conditions.Ready.message
  -- What somebody changed in Glance does not keep servers from booting.
  if is("Synced", "False") then
    hs.message = conditions.Synced.message
  end
elseif is("Ready", "False") then
  -- Nothing is going on, so it stays so until somebody does something.
  hs.status = "Degraded"
  hs.message = conditions.Ready.message
end
return hs

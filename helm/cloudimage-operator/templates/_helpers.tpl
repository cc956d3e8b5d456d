{{- define "cloudimage-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* A release called like the chart does not get its name twice. */}}
{{- define "cloudimage-operator.fullname" -}}
{{- $name := include "cloudimage-operator.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "cloudimage-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "cloudimage-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "cloudimage-operator.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "cloudimage-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "cloudimage-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "cloudimage-operator.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name is needed when serviceAccount.create is false" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/*
What the operator asks of the API server, and no more. manifests/base/rbac.yaml says the same; a
test compares them.
*/}}
{{- define "cloudimage-operator.rules" -}}
- apiGroups: [cloudimage.dev]
  resources: [cloudimages]
  verbs: [get, list, watch, patch]  # patch: for the finalizer
- apiGroups: [cloudimage.dev]
  resources: [cloudimages/status]
  verbs: [update]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get]  # only those that a CloudImage names: none is ever listed
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, patch]  # likewise; patch: for the finalizer on those with credentials
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end }}

{{- define "cloudimage-operator.subjects" -}}
- kind: ServiceAccount
  name: {{ include "cloudimage-operator.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}

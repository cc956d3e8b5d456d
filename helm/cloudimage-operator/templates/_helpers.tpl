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
Only what the operator needs from the API server. manifests/base/rights/rbac.yaml says the same; a
test compares them.
*/}}
{{- define "cloudimage-operator.rules" -}}
- apiGroups: [cloudimage.dev]
  resources: [cloudimages, imageshares]
  verbs: [get, list, watch, patch]  # patch: for the finalizer
- apiGroups: [cloudimage.dev]
  resources: [cloudimages/status, imageshares/status]
  verbs: [update]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get]  # only those that a CloudImage names: none is ever listed
{{- if .Values.publish.enabled }}
- apiGroups: [""]
  resources: [configmaps]
  verbs: [create, patch, delete]  # for spec.publish: keys that nobody else has set
{{- end }}
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, patch]  # likewise; patch: for the finalizer on those with credentials
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- if include "cloudimage-operator.makesJobs" . }}
- apiGroups: [batch]
  resources: [jobs]
  verbs: [create, get, list, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
{{- end }}
{{- end }}

{{/* Not empty where a transfer can be a Job of the operator's own image, which may mount a volume. */}}
{{- define "cloudimage-operator.mountsVolumes" -}}
{{- if or (eq .Values.transfer.runner "job") .Values.transfer.persistentVolumeClaims }}yes{{ end }}
{{- end }}

{{/* Not empty where transfers can be Jobs. */}}
{{- define "cloudimage-operator.makesJobs" -}}
{{- if or (include "cloudimage-operator.mountsVolumes" .) .Values.customize.image.repository }}yes{{ end }}
{{- end }}

{{/* Not empty where a Lease says which pod acts. */}}
{{- define "cloudimage-operator.leaderElection" -}}
{{- if or .Values.leaderElection.enabled (gt (int .Values.replicas) 1) (gt (int .Values.shards) 1) }}yes{{ end }}
{{- end }}

{{/*
The Leases that the operator writes. Those of other numbers of shards too, from which it takes over;
without shards, it has no right to more than its own.
*/}}
{{- define "cloudimage-operator.leases" -}}
{{- $fullname := include "cloudimage-operator.fullname" . }}
{{- $names := list $fullname }}
{{- if gt (int .Values.shards) 1 }}
{{- range $count := untilStep 2 9 1 }}
{{- range $index := until $count }}
{{- $names = append $names (printf "%s-%d-of-%d" $fullname $index $count) }}
{{- end }}
{{- end }}
{{- end }}
{{- toYaml $names }}
{{- end }}

{{- define "cloudimage-operator.image" -}}
{{ required "image.repository is empty, and no image of the operator is published: build one and push it to a registry of yours (docs/install.md), then add --set image.repository=registry.example.org/cloudimage-operator" .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* The proxy's variables that are set, by name. */}}
{{- define "cloudimage-operator.proxyEnv" -}}
{{- $env := dict }}
{{- with .Values.proxy }}
{{- if .http }}{{ $_ := set $env "HTTP_PROXY" .http }}{{ end }}
{{- if .https }}{{ $_ := set $env "HTTPS_PROXY" .https }}{{ end }}
{{- if and $env .noProxy }}{{ $_ := set $env "NO_PROXY" .noProxy }}{{ end }}
{{- end }}
{{- toJson $env }}
{{- end }}

{{/*
How the operator's own connections are made: by which proxy, and with whose certificates. The API
server is reached directly: Kubernetes puts its address for $(KUBERNETES_SERVICE_HOST).
*/}}
{{- define "cloudimage-operator.connectionEnv" -}}
{{- $env := include "cloudimage-operator.proxyEnv" . | fromJson }}
{{- if $env }}
{{- $direct := list "$(KUBERNETES_SERVICE_HOST)" ".svc" "localhost" "127.0.0.1" }}
{{- $_ := set $env "NO_PROXY" (prepend $direct (get $env "NO_PROXY") | compact | join ",") }}
{{- end }}
{{- if .Values.caBundle.configMap }}
{{- $_ := set $env "REQUESTS_CA_BUNDLE" "/etc/cloudimage/ca/ca.crt" }}
{{- end }}
{{- range $name, $value := $env }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{- define "cloudimage-operator.tcpPorts" -}}
{{- range . }}
- port: {{ . | int }}
  protocol: TCP
{{- end }}
{{- end }}

{{/*
How the Jobs of transfers look; the operator makes them.
*/}}
{{- define "cloudimage-operator.jobEnv" -}}
{{- $job := .Values.transfer.job }}
{{- $pod := pick $job "nodeSelector" "tolerations" "affinity" "imagePullSecrets" "priorityClassName" }}
- name: CLOUDIMAGE_RUNNER
  value: {{ .Values.transfer.runner }}
{{- if include "cloudimage-operator.mountsVolumes" . }}
- name: CLOUDIMAGE_JOB_IMAGE
  value: {{ include "cloudimage-operator.image" . | quote }}
{{- end }}
{{- with .Values.customize }}
{{- if .image.repository }}
- name: CLOUDIMAGE_CUSTOMIZE_IMAGE
  value: {{ printf "%s:%s" .image.repository ($.Values.image.tag | default $.Chart.AppVersion) | quote }}
- name: CLOUDIMAGE_CUSTOMIZE_RESOURCES
  value: {{ .resources | toJson | quote }}
{{- end }}
{{- end }}
- name: CLOUDIMAGE_JOB_PULL_POLICY
  value: {{ .Values.image.pullPolicy }}
- name: CLOUDIMAGE_JOB_SCRATCH_SIZE
  value: {{ .Values.scratch.sizeLimit | quote }}
- name: CLOUDIMAGE_JOB_STORAGE_CLASS
  value: {{ $job.storageClassName | quote }}
- name: CLOUDIMAGE_JOB_SCRATCH_CLAIM
  value: {{ $job.scratchClaim | quote }}
- name: CLOUDIMAGE_JOB_DEADLINE_SECONDS
  value: {{ $job.deadlineSeconds | int64 | quote }}
- name: CLOUDIMAGE_JOB_RESOURCES
  value: {{ $job.resources | toJson | quote }}
- name: CLOUDIMAGE_JOB_ENV
  value: {{ include "cloudimage-operator.proxyEnv" . | quote }}
- name: CLOUDIMAGE_JOB_POD
  value: {{ $pod | toJson | quote }}
{{- end }}

{{- define "cloudimage-operator.subjects" -}}
- kind: ServiceAccount
  name: {{ include "cloudimage-operator.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}

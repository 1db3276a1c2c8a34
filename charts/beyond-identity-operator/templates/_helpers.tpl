{{/* The name of the chart in the names and the labels of objects. */}}
{{- define "operator.name" -}}
{{- .Values.nameOverride | default .Chart.Name -}}
{{- end -}}

{{/* The beginning of all names of the release, and most names in whole: at most 63 characters. The name of the release, of at
most 53, is never cut, so that two releases differ. */}}
{{- define "operator.fullname" -}}
{{- $name := include "operator.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name -}}
{{- else -}}
{{- regexReplaceAll "-+$" (printf "%s-%s" .Release.Name $name | trunc 63) "" -}}
{{- end -}}
{{- end -}}

{{/* The name of a Service must be a DNS label that begins with a letter. */}}
{{- define "operator.metricsService" -}}
{{- $name := include "operator.fullname" . -}}
{{- if regexMatch "^[a-z][a-z0-9-]{0,54}$" $name -}}
{{ $name }}-metrics
{{- else -}}
{{- $beginning := $name | replace "." "-" | trunc 46 -}}
metrics-{{ $beginning }}-{{ sha256sum $name | trunc 8 }}
{{- end -}}
{{- end -}}

{{/* What the pods are selected by: never to change. */}}
{{- define "operator.selector" -}}
app.kubernetes.io/name: {{ include "operator.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "operator.labels" -}}
{{- $own := dict
  "app.kubernetes.io/version" .Chart.AppVersion
  "app.kubernetes.io/managed-by" .Release.Service
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") -}}
{{- merge (include "operator.selector" . | fromYaml) $own .Values.commonLabels | toYaml -}}
{{- end -}}

{{- define "operator.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "operator.fullname" .) -}}
{{- end -}}

{{- define "operator.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A duration, such as 1m30s, in whole seconds. */}}
{{- define "operator.seconds" -}}
{{- $start := toDate "2006-01-02" "2001-01-01" -}}
{{- sub (mustDateModify . $start | unixEpoch) (unixEpoch $start) -}}
{{- end -}}

{{/* The ClusterRole of install/cluster-admin.yaml, which grants operator.rules. */}}
{{- define "operator.namespaceRole" -}}
beyond-identity-operator-namespace
{{- end -}}

{{/* What the operator does with the objects that it serves, in each namespace that it watches. */}}
{{- define "operator.rules" -}}
# The patch is for the finalizer, and touches nothing else of an object.
- apiGroups: [beyondidentity.dev]
  resources: [authenticatorconfigs, enrollmentrequests, providerconfigs]
  verbs: [get, list, watch, patch]
- apiGroups: [beyondidentity.dev]
  resources: [authenticatorconfigs/status, enrollmentrequests/status, providerconfigs/status]
  verbs: [update]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}

{{/* A binding to the operator's ServiceAccount. */}}
{{- define "operator.subjects" -}}
subjects:
  - kind: ServiceAccount
    name: {{ include "operator.serviceAccount" . | quote }}
    namespace: {{ .Release.Namespace | quote }}
{{- end -}}

{{/* The ports of the Beyond Identity API, of the hosts in allowedEndpointHosts, and of the proxy, separated by spaces. */}}
{{- define "operator.servicePorts" -}}
{{- $ports := list 443 -}}
{{- range .Values.allowedEndpointHosts -}}
{{- with regexFind ":[0-9]+$" . -}}
{{- $ports = append $ports (trimPrefix ":" . | int) -}}
{{- end -}}
{{- end -}}
{{- with .Values.proxy.https -}}
{{- $url := urlParse . -}}
{{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" -}}
{{- $ports = append $ports ($port | default (ternary 443 80 (eq $url.scheme "https")) | int) -}}
{{- end -}}
{{- $ports | uniq | join " " -}}
{{- end -}}

{{/* How a monitor, the second in the list, scrapes the metrics. */}}
{{- define "operator.scrape" -}}
{{- $root := first . -}}
{{- $secure := $root.Values.metrics.secure -}}
{{- with last . -}}
{{- if $secure.enabled }}
scheme: https
tlsConfig:
  {{- if .tlsConfig }}
  {{- toYaml .tlsConfig | nindent 2 }}
  {{- else if $secure.secretName }}
  serverName: {{ include "operator.metricsService" $root }}.{{ $root.Release.Namespace }}.svc
  ca:
    secret:
      name: {{ $secure.secretName | quote }}
      key: ca.crt
  {{- else }}
  # Each pod has its own certificate, which nobody else signed.
  insecureSkipVerify: true
  {{- end }}
{{- end }}
{{- with .interval }}
interval: {{ . | quote }}
{{- end }}
{{- with .scrapeTimeout }}
scrapeTimeout: {{ . | quote }}
{{- end }}
{{- with .relabelings }}
relabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
{{- end -}}

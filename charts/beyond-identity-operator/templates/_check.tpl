{{/* Refuses what the schema of the values cannot say, or says in riddles. */}}
{{- define "operator.check" -}}
{{- with .Values }}
{{- if not .clusterName }}
  {{- fail "clusterName is required: name this cluster with lower-case letters, digits and inner hyphens, at most 32, as no other cluster is named, and keep the name for life, also when the cluster is rebuilt: by it the operator finds again what it made at Beyond Identity" }}
{{- end }}
{{- if gt (len .clusterName) 32 }}
  {{- fail (printf "clusterName has %d characters, and may have 32" (len .clusterName)) }}
{{- end }}
{{- if not (regexMatch "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$" .clusterName) }}
  {{- fail (printf "clusterName is %q, and may consist of lower-case letters, digits and inner hyphens only" .clusterName) }}
{{- end }}
{{- if and (gt (int .replicas) 1) (not .leaderElection) }}
  {{- fail "replicas is more than 1 and leaderElection is false, so that each pod would send: set leaderElection to true, or replicas to 1" }}
{{- end }}
{{- range $name := list "requestTimeout" "settleTime" "gracePeriod" "jobPollMin" "jobPollMax" "resyncInterval" }}
  {{- if not (regexMatch "^([0-9]+(ms|s|m|h))+$" (get $.Values $name)) }}
    {{- fail (printf "%s is %q, and must be a duration, such as 90s or 10m" $name (get $.Values $name)) }}
  {{- end }}
{{- end }}
{{- $requestTimeout := include "operator.seconds" .requestTimeout | int }}
{{- if or (lt $requestTimeout 1) (gt $requestTimeout 1800) }}
  {{- fail (printf "requestTimeout is %s, and must be from 1s to 30m" .requestTimeout) }}
{{- end }}
{{- range $name := list "jobPollMin" "jobPollMax" "resyncInterval" }}
  {{- if lt (include "operator.seconds" (get $.Values $name) | int) 1 }}
    {{- fail (printf "%s is %s, and must be at least 1s" $name (get $.Values $name)) }}
  {{- end }}
{{- end }}
{{- if gt (include "operator.seconds" .jobPollMin | int) (include "operator.seconds" .jobPollMax | int) }}
  {{- fail (printf "jobPollMin is %s, and must not be longer than jobPollMax, which is %s" .jobPollMin .jobPollMax) }}
{{- end }}
{{- if and .image.digest (not (regexMatch "^sha256:[0-9a-f]{64}$" .image.digest)) }}
  {{- fail (printf "image.digest is %q, and must be sha256: and 64 digits" .image.digest) }}
{{- end }}
{{- if and (not .serviceAccount.create) (not .serviceAccount.name) }}
  {{- fail "serviceAccount.name is required where serviceAccount.create is false: or the operator's rights would go to every pod that names no ServiceAccount" }}
{{- end }}
{{- if and .rbac.tenantsMayEnroll (not .rbac.aggregate) }}
  {{- fail "rbac.tenantsMayEnroll is true, and does nothing where rbac.aggregate is false: set both, or neither" }}
{{- end }}
{{- if and .metrics.serviceMonitor.enabled (not .metrics.service.enabled) }}
  {{- fail "metrics.serviceMonitor.enabled is true, and needs the Service: set metrics.service.enabled to true" }}
{{- end }}
{{- end }}
{{- end -}}

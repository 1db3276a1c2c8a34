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
{{- range $bounds := list
  (list "requestTimeout" "1s" "30m") (list "settleTime" "1s" "1h") (list "gracePeriod" "0s" "168h")
  (list "jobPollMin" "1s" "24h") (list "jobPollMax" "1s" "24h") (list "resyncInterval" "1s" "24h") }}
  {{- $name := index $bounds 0 }}
  {{- $value := get $.Values $name }}
  {{- if not (regexMatch "^([0-9]+(ms|s|m|h))+$" $value) }}
    {{- fail (printf "%s is %q, and must be a duration, such as 90s or 10m" $name $value) }}
  {{- end }}
  {{- $within := false }}
  {{- /* What has more digits is beyond any of the bounds, and may be beyond what a template can count. */}}
  {{- if regexMatch "^([0-9]{1,9}ms|[0-9]{1,6}[sm]|[0-9]{1,5}h){1,8}$" $value }}
    {{- $seconds := include "operator.seconds" $value | int }}
    {{- $least := include "operator.seconds" (index $bounds 1) | int }}
    {{- $most := include "operator.seconds" (index $bounds 2) | int }}
    {{- $within = and (ge $seconds $least) (le $seconds $most) }}
  {{- end }}
  {{- if not $within }}
    {{- fail (printf "%s is %s, and must be from %s to %s" $name $value (index $bounds 1) (index $bounds 2)) }}
  {{- end }}
{{- end }}
{{- if gt (include "operator.seconds" .jobPollMin | int) (include "operator.seconds" .jobPollMax | int) }}
  {{- fail (printf "jobPollMin is %s, and must not be longer than jobPollMax, which is %s" .jobPollMin .jobPollMax) }}
{{- end }}
{{- if gt (int .maxConcurrentReconcilesPerProviderConfig) (int .maxConcurrentReconciles) }}
  {{- fail (printf "maxConcurrentReconcilesPerProviderConfig is %d, and must not exceed maxConcurrentReconciles, which is %d" (int .maxConcurrentReconcilesPerProviderConfig) (int .maxConcurrentReconciles)) }}
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

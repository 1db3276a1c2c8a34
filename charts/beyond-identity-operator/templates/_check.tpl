{{/* Rejects values that the schema cannot reject, or only with an unclear message. */}}
{{- define "operator.check" -}}
{{- with .Values }}
{{- if not .clusterName }}
  {{- fail "clusterName is required: set it to a DNS label of at most 32 characters that is unique among your clusters. It is part of the ownership mark of every configuration and must never change, even when the cluster is rebuilt" }}
{{- end }}
{{- if gt (len .clusterName) 32 }}
  {{- fail (printf "clusterName must have at most 32 characters, but has %d" (len .clusterName)) }}
{{- end }}
{{- if not (regexMatch "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$" .clusterName) }}
  {{- fail (printf "clusterName is %q, but must be a DNS label: lowercase letters and digits, with hyphens only in between" .clusterName) }}
{{- end }}
{{- if and (gt (int .replicas) 1) (not .leaderElection) }}
  {{- fail "replicas is more than 1 and leaderElection is false, so every pod would send emails: set leaderElection to true, or replicas to 1" }}
{{- end }}
{{- range $bounds := list
  (list "requestTimeout" "1s" "30m") (list "settleTime" "1s" "1h") (list "gracePeriod" "0s" "168h")
  (list "jobPollMin" "1s" "24h") (list "jobPollMax" "1s" "24h") (list "resyncInterval" "1s" "24h") }}
  {{- $name := index $bounds 0 }}
  {{- $value := get $.Values $name }}
  {{- if not (regexMatch "^([0-9]+(ms|s|m|h))+$" $value) }}
    {{- fail (printf "%s is %q, but must be a duration, such as 90s or 10m" $name $value) }}
  {{- end }}
  {{- $within := false }}
  {{- /* More digits exceed every bound, and may overflow. */}}
  {{- if regexMatch "^([0-9]{1,9}ms|[0-9]{1,6}[sm]|[0-9]{1,5}h){1,8}$" $value }}
    {{- $seconds := include "operator.seconds" $value | int }}
    {{- $least := include "operator.seconds" (index $bounds 1) | int }}
    {{- $most := include "operator.seconds" (index $bounds 2) | int }}
    {{- $within = and (ge $seconds $least) (le $seconds $most) }}
  {{- end }}
  {{- if not $within }}
    {{- fail (printf "%s is %s, but must be between %s and %s" $name $value (index $bounds 1) (index $bounds 2)) }}
  {{- end }}
{{- end }}
{{- if gt (include "operator.seconds" .jobPollMin | int) (include "operator.seconds" .jobPollMax | int) }}
  {{- fail (printf "jobPollMin is %s, but must not exceed jobPollMax, which is %s" .jobPollMin .jobPollMax) }}
{{- end }}
{{- if gt (int .maxConcurrentReconcilesPerProviderConfig) (int .maxConcurrentReconciles) }}
  {{- fail (printf "maxConcurrentReconcilesPerProviderConfig is %d, but must not exceed maxConcurrentReconciles, which is %d" (int .maxConcurrentReconcilesPerProviderConfig) (int .maxConcurrentReconciles)) }}
{{- end }}
{{- if and .proxy.https .proxy.existingSecret }}
  {{- fail "proxy.https and proxy.existingSecret are both set; remove one of them" }}
{{- end }}
{{- if and .image.digest (not (regexMatch "^sha256:[0-9a-f]{64}$" .image.digest)) }}
  {{- fail (printf "image.digest is %q, but must be sha256: and 64 hexadecimal digits" .image.digest) }}
{{- end }}
{{- if and (not .serviceAccount.create) (not .serviceAccount.name) }}
  {{- fail "serviceAccount.name is required if serviceAccount.create is false: otherwise every pod that uses the default ServiceAccount would get the operator's permissions" }}
{{- end }}
{{- if and (not .rbac.clusterScoped) (not .watchNamespaces) }}
  {{- fail "rbac.clusterScoped is false and watchNamespaces is empty, but all namespaces can be watched only with permissions in the cluster as a whole: list the namespaces in watchNamespaces, or set rbac.clusterScoped to true" }}
{{- end }}
{{- range $namespace, $_ := .rbac.tenantSecrets }}
{{- if and $.Values.watchNamespaces (not (has $namespace $.Values.watchNamespaces)) }}
  {{- fail (printf "rbac.tenantSecrets names namespace %s, which the operator does not watch: add it to watchNamespaces, or remove it from rbac.tenantSecrets" $namespace) }}
{{- end }}
{{- end }}
{{- if and .rbac.tenantsMayEnroll (not .rbac.clusterScoped) }}
  {{- fail "rbac.tenantsMayEnroll has no effect if rbac.clusterScoped is false: set it to false, and bind the users of each namespace to a Role instead" }}
{{- end }}
{{- if and .rbac.tenantsMayEnroll (not .rbac.aggregate) }}
  {{- fail "rbac.tenantsMayEnroll has no effect if rbac.aggregate is false: set both to true, or rbac.tenantsMayEnroll to false" }}
{{- end }}
{{- if and .caBundle.configMap .caBundle.secret }}
  {{- fail "caBundle.configMap and caBundle.secret are both set; remove one of them" }}
{{- end }}
{{- $variables := list "POD_NAMESPACE" "POD_NAME" }}
{{- if or .proxy.https .proxy.existingSecret }}{{ $variables = append $variables "HTTPS_PROXY" }}{{ end }}
{{- if .proxy.noProxy }}{{ $variables = append $variables "NO_PROXY" }}{{ end }}
{{- range .extraEnv }}
{{- if has .name $variables }}
  {{- fail (printf "extraEnv sets %s, which is set already; remove one of them" .name) }}
{{- end }}
{{- $variables = append $variables .name }}
{{- end }}
{{- range $name, $_ := .commonLabels }}
{{- if hasPrefix "rbac.authorization.k8s.io/" $name }}
  {{- fail (printf "commonLabels has %s, which would give the operator's permissions to users; remove it" $name) }}
{{- end }}
{{- end }}
{{- if and .metrics.serviceMonitor.enabled .metrics.podMonitor.enabled }}
  {{- fail "metrics.serviceMonitor.enabled and metrics.podMonitor.enabled are both true, so that Prometheus would scrape each pod twice; set one of them to false" }}
{{- end }}
{{- if and .metrics.podMonitor.enabled .metrics.secure.enabled (not .metrics.podMonitor.authorization) }}
  {{- fail "metrics.podMonitor.authorization is required if metrics.secure.enabled is true, because a PodMonitor cannot use the token of Prometheus: set it, or use metrics.serviceMonitor" }}
{{- end }}
{{- range .metrics.prometheusRule.disabledAlerts }}
{{- if not (contains (printf "- alert: %s\n" .) ($.Files.Get "files/alerts.yaml")) }}
  {{- fail (printf "metrics.prometheusRule.disabledAlerts has %s, but no alert has this name; see docs/alerts.md" .) }}
{{- end }}
{{- end }}
{{- if and .metrics.serviceMonitor.enabled (not .metrics.service.enabled) }}
  {{- fail "metrics.serviceMonitor.enabled requires the Service: set metrics.service.enabled to true" }}
{{- end }}
{{- end }}
{{- end -}}

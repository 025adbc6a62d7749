{{- define "tripline.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Leaves room for the name of a process behind it. */}}
{{- define "tripline.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 42 | trimSuffix "-" -}}
{{- else if contains (include "tripline.name" .) .Release.Name -}}
{{- .Release.Name | trunc 42 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "tripline.name" .) | trunc 42 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "tripline.selectorLabels" -}}
app.kubernetes.io/name: {{ include "tripline.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "tripline.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{ include "tripline.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "tripline.secretName" -}}
{{- .Values.secrets.existingSecret | default (include "tripline.fullname" .) -}}
{{- end -}}

{{- define "tripline.rulesName" -}}
{{- .Values.existingRules | default (printf "%s-rules" (include "tripline.fullname" .)) -}}
{{- end -}}

{{- define "tripline.hasRules" -}}
{{- if or .Values.existingRules .Values.rules -}}true{{- end -}}
{{- end -}}

{{/* The processes, as JSON. */}}
{{- define "tripline.processes" -}}
{{- $one := dict "all" (dict "roles" (list "api" "engine" "actions" "recorder") "replicas" 1 "rules" true) -}}
{{- .Values.processes | default $one | toJson -}}
{{- end -}}

{{/* What would go wrong only once it runs. */}}
{{- define "tripline.check" -}}
{{- $withRules := list -}}
{{- $withHistory := list -}}
{{- $api := false -}}
{{- range $name, $process := include "tripline.processes" . | fromJson -}}
{{- $replicas := int (dig "replicas" 1 $process) -}}
{{- if has "api" $process.roles }}{{ $api = true }}{{ end -}}
{{- if $process.rules -}}
{{- $withRules = append $withRules $name -}}
{{- if gt $replicas 1 }}{{ fail (printf "processes.%s has rules and %d replicas; one workspace's rules belong to one process: give it 1 replica, or move rules: true to another process" $name $replicas) }}{{ end -}}
{{- end -}}
{{- if or (has "api" $process.roles) (has "recorder" $process.roles) -}}
{{- $withHistory = append $withHistory $name -}}
{{- if and (eq $.Values.history.kind "sqlite") (gt $replicas 1) }}{{ fail (printf "processes.%s has %d replicas, which cannot share a SQLite file; set history.kind to postgres" $name $replicas) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- if not $api }}{{ fail "no process has the role api; add it to one of processes" }}{{ end -}}
{{- if and (eq .Values.history.kind "sqlite") (gt (len $withHistory) 1) }}{{ fail (printf "processes %s need the same history, and cannot share a SQLite file; set history.kind to postgres" (join ", " $withHistory)) }}{{ end -}}
{{- if gt (len $withRules) 1 }}{{ fail (printf "processes %s have rules; one workspace's rules belong to one process" (join ", " $withRules)) }}{{ end -}}
{{- if and (include "tripline.hasRules" .) (not $withRules) }}{{ fail "there are rules, and no process has rules: true" }}{{ end -}}
{{- if not .Values.secrets.existingSecret -}}
{{- if not .Values.secrets.redisUrl }}{{ fail "set secrets.redisUrl, or secrets.existingSecret to a Secret with the key redis-url" }}{{ end -}}
{{- if not .Values.secrets.apiKeys }}{{ fail "set secrets.apiKeys, or secrets.existingSecret to a Secret with the key api-keys.yaml: without keys the server listens on loopback only" }}{{ end -}}
{{- if and (eq .Values.history.kind "postgres") (not .Values.secrets.historyUrl) }}{{ fail "history.kind is postgres: set secrets.historyUrl, or secrets.existingSecret to a Secret with the key history-url" }}{{ end -}}
{{- end -}}
{{- end -}}

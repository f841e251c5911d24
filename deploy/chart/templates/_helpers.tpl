{{- define "name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- /* 40 characters leave room for what is added: -installation, -state-63. */ -}}
{{- define "fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "selectorLabels" -}}
app.kubernetes.io/name: {{ include "name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "labels" -}}
{{- $own := include "selectorLabels" . | fromYaml -}}
{{- $_ := set $own "app.kubernetes.io/version" .Chart.AppVersion -}}
{{- $_ := set $own "app.kubernetes.io/managed-by" .Release.Service -}}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_") -}}
{{- toYaml (merge (dict) $own .Values.commonLabels) -}}
{{- end -}}

{{- /* The metadata of an object but its namespace: (list $ name). */ -}}
{{- define "metadata" -}}
{{- $root := index . 0 -}}
name: {{ index . 1 }}
labels:
  {{- include "labels" $root | nindent 2 }}
{{- with $root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "namespaces" -}}
{{- default (list .Release.Namespace) .Values.namespaces | uniq | toJson -}}
{{- end -}}

{{- /* The ConfigMaps of the state: one, or one for each slot. */ -}}
{{- define "states" -}}
{{- $state := printf "%s-state" (include "fullname" .) -}}
{{- if eq .Values.kind "DaemonSet" -}}
{{- $found := list -}}
{{- range until (int .Values.slots) -}}
{{- $found = append $found (printf "%s-%d" $state .) -}}
{{- end -}}
{{- $found | toJson -}}
{{- else -}}
{{- list $state | toJson -}}
{{- end -}}
{{- end -}}

{{- /* "true" where a Lease elects. */ -}}
{{- define "elects" -}}
{{- if and (eq .Values.kind "Deployment") (gt (int .Values.replicas) 1) -}}true{{- end -}}
{{- end -}}

{{- /* The Secret with the write key, empty in mode local. */ -}}
{{- define "secret" -}}
{{- if .Values.destination.existingSecret -}}
{{- .Values.destination.existingSecret -}}
{{- else if .Values.destination.writeKey -}}
{{- include "fullname" . -}}
{{- end -}}
{{- end -}}

{{- define "image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "rulesConfigMap" -}}
{{- if .Values.existingRulesConfigMap -}}
{{- .Values.existingRulesConfigMap -}}
{{- else if .Values.rules -}}
{{- printf "%s-rules" (include "fullname" .) -}}
{{- end -}}
{{- end -}}

{{- /* The agent's configuration file, empty if there is nothing to say. */ -}}
{{- define "settings" -}}
{{- $file := deepCopy .Values.settings -}}
{{- $destination := dict -}}
{{- with .Values.destination.endpoint -}}
{{- $_ := set $destination "endpoint" . -}}
{{- else -}}
{{- $_ := set $destination "region" .Values.destination.region -}}
{{- end -}}
{{- $_ := set $file "destination" $destination -}}
{{- if not .Values.rights.clusterId -}}
{{- $_ := set $file "identity" (dict "cluster_id" "none") -}}
{{- end -}}
{{- toYaml $file -}}
{{- end -}}

{{- define "quietSeconds" -}}
{{- dig "privacy" "quiet_period_seconds" 86400 .Values.settings | int64 -}}
{{- end -}}

{{- /* What may be reached: (list cidrs ports). */}}
{{- define "egress" -}}
- ports:
    {{- range index . 1 }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
  {{- with index . 0 }}
  to:
    {{- range . }}
    - ipBlock: {cidr: {{ . | quote }}}
    {{- end }}
  {{- end }}
{{- end -}}

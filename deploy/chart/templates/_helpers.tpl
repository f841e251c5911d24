{{- /* Takes what is null out of a map, in place: a key that is left empty in YAML is as if it were not given.
Not inside of what is the API server's to understand, where a selector with less would select more, nor
of what Helm shares with other charts. */ -}}
{{- define "withoutNulls" -}}
{{- $whole := list "global" "affinity" "tolerations" "topologySpreadConstraints" "valueFrom" -}}
{{- $whole = concat $whole (list "podSelector" "namespaceSelector") -}}
{{- range $key, $value := . -}}
{{- if kindIs "invalid" $value -}}
{{- $_ := unset $ $key -}}
{{- else if not (has $key $whole) -}}
{{- range kindIs "slice" $value | ternary $value (list $value) -}}
{{- if kindIs "map" . -}}
{{- include "withoutNulls" . -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "name" -}}
{{- regexReplaceAll "[-.]+$" (default .Chart.Name .Values.nameOverride | trunc 40) "" -}}
{{- end -}}

{{- define "fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- include "shortened" .Values.fullnameOverride -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- include "shortened" .Release.Name -}}
{{- else -}}
{{- include "shortened" (printf "%s-%s" .Release.Name $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* At most 40 characters, which leaves room for what is added: -installation, -state-63. A hash keeps
two long names apart that begin alike. */ -}}
{{- define "shortened" -}}
{{- if gt (len .) 40 -}}
{{- printf "%s-%s" (regexReplaceAll "[-.]+$" (trunc 31 .) "") (sha256sum . | trunc 8) -}}
{{- else -}}
{{- . -}}
{{- end -}}
{{- end -}}

{{- /* A Service's name begins with a letter and has no dot, a release's may. */ -}}
{{- define "serviceName" -}}
{{- $fullname := include "fullname" . -}}
{{- if regexMatch "^[a-z][-a-z0-9]*$" $fullname -}}
{{- $fullname -}}
{{- else -}}
{{- printf "metrics-%s" ($fullname | replace "." "-") -}}
{{- end -}}
{{- end -}}

{{- define "selectorLabels" -}}
app.kubernetes.io/name: {{ include "name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "labels" -}}
{{- $own := include "selectorLabels" . | fromYaml -}}
{{- $_ := set $own "app.kubernetes.io/version" .Chart.AppVersion -}}
{{- $_ := set $own "app.kubernetes.io/managed-by" .Release.Service -}}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_") -}}
{{- toYaml (merge (dict) $own (.Values.commonLabels | default dict)) -}}
{{- end -}}

{{- /* The metadata of an object but its namespace: (list $ name). */ -}}
{{- define "metadata" -}}
{{- $root := index . 0 -}}
name: {{ index . 1 | quote }}
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

{{- /* The names of BotKube's Deployments, from which those of its ConfigMaps follow. */ -}}
{{- define "deployments" -}}
{{- .Values.rights.botkubeDeployments | default (list "botkube") | toJson -}}
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

{{- /* 0 is a number of them, and empty is not. */ -}}
{{- define "replicas" -}}
{{- kindIs "invalid" .Values.replicas | ternary 1 (int .Values.replicas) -}}
{{- end -}}

{{- /* "true" where no pod shall run. */ -}}
{{- define "isPaused" -}}
{{- if and (eq .Values.kind "Deployment") (eq (include "replicas" . | int) 0) -}}true{{- end -}}
{{- end -}}

{{- /* "true" where a Lease elects. */ -}}
{{- define "elects" -}}
{{- if and (eq .Values.kind "Deployment") (gt (include "replicas" . | int) 1) -}}true{{- end -}}
{{- end -}}

{{- /* What the agent knows of the types of destinations: `make manifests` writes the file. */ -}}
{{- define "destinations" -}}
{{- .Files.Get "files/destinations.yaml" -}}
{{- end -}}

{{- /* The same of the one that is chosen. */ -}}
{{- define "destination" -}}
{{- get (include "destinations" . | fromYaml) .Values.destination.type | toYaml -}}
{{- end -}}

{{- /* "true" where there is all that sending needs: a key, where one is needed. */ -}}
{{- define "sends" -}}
{{- if or (include "secret" .) (not (include "destination" . | fromYaml).key) -}}true{{- end -}}
{{- end -}}

{{- /* The destination for people. */ -}}
{{- define "where" -}}
{{- $given := .Values.destination -}}
{{- if eq $given.type "file" -}}
{{- printf "%s on PersistentVolumeClaim %s" $given.path $given.existingClaim -}}
{{- else if eq $given.type "stdout" -}}
standard output, which is in the pod's log
{{- else if and $given.endpoint (eq $given.type "segment") -}}
{{- $given.endpoint -}}
{{- else -}}
{{- $title := (include "destination" . | fromYaml).title -}}
{{- printf "%s (%s)" $title (default $given.region $given.endpoint) -}}
{{- end -}}
{{- end -}}

{{- /* How often a count arrives there. */ -}}
{{- define "promise" -}}
{{- if (include "destination" . | fromYaml).dropsRepeats -}}
exactly once
{{- else -}}
{{- .Values.destination.delivery | replace "-" " " -}}
{{- end -}}
{{- end -}}

{{- /* The Secret with the write key, empty in mode local. */ -}}
{{- define "secret" -}}
{{- if .Values.destination.existingSecret -}}
{{- .Values.destination.existingSecret -}}
{{- else if .Values.destination.writeKey -}}
{{- include "fullname" . -}}
{{- end -}}
{{- end -}}

{{- /* The variable of extraEnv that switches off, as the agent reads the two. */ -}}
{{- define "switchedOff" -}}
{{- $given := dict -}}
{{- range .Values.extraEnv -}}
{{- $value := dig "value" "" . | trim | lower -}}
{{- $_ := set $given .name (contains "$(" $value | ternary "" $value) -}}
{{- end -}}
{{- $wish := get $given "DO_NOT_TRACK" -}}
{{- if and $wish (not (has $wish (list "false" "0" "no" "off"))) -}}
DO_NOT_TRACK
{{- else if has (get $given "BOTKUBE_ANALYTICS_DISABLE") (list "true" "1" "yes" "on") -}}
BOTKUBE_ANALYTICS_DISABLE
{{- end -}}
{{- end -}}

{{- /* Those of the two of which only the cluster knows what they say: the kubelet fills in $(NAME). */ -}}
{{- define "notJudged" -}}
{{- $found := list -}}
{{- range .Values.extraEnv -}}
{{- $isOpen := or .valueFrom (contains "$(" (dig "value" "" .)) -}}
{{- if and $isOpen (has .name (list "DO_NOT_TRACK" "BOTKUBE_ANALYTICS_DISABLE")) -}}
{{- $found = append $found .name -}}
{{- end -}}
{{- end -}}
{{- join " and " $found -}}
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
{{- $file := deepCopy (.Values.settings | default dict) -}}
{{- $given := .Values.destination -}}
{{- $known := include "destination" . | fromYaml -}}
{{- $destination := dict "type" $given.type -}}
{{- range $key, $_ := $known.needs -}}
{{- $_ := set $destination $key (get $given $key) -}}
{{- end -}}
{{- if $given.endpoint -}}
{{- $_ := set $destination "endpoint" $given.endpoint -}}
{{- else if $known.regions -}}
{{- $_ := set $destination "region" $given.region -}}
{{- end -}}
{{- if not $known.dropsRepeats -}}
{{- $_ := set $destination "delivery" $given.delivery -}}
{{- end -}}
{{- $_ := set $file "destination" $destination -}}
{{- $botkube := dict "deployments" (include "deployments" . | fromJsonArray) -}}
{{- $_ := set $file "kubernetes" (merge $botkube (get $file "kubernetes" | default dict)) -}}
{{- if not .Values.rights.clusterId -}}
{{- $_ := set $file "identity" (dict "cluster_id" "none") -}}
{{- end -}}
{{- toYaml $file -}}
{{- end -}}

{{- define "quietSeconds" -}}
{{- dig "privacy" "quiet_period_seconds" 86400 (.Values.settings | default dict) | int64 -}}
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

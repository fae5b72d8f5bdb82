{{- define "videofleet.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "videofleet.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "videofleet.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "videofleet.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "videofleet.operatorName" -}}
{{- include "videofleet.fullname" . }}-operator
{{- end -}}

{{/* Cluster-scoped objects of two releases must not meet, so they carry the namespace. */}}
{{- define "videofleet.clusterName" -}}
{{- .Release.Namespace }}-{{ include "videofleet.operatorName" . }}
{{- end -}}

{{- define "videofleet.serviceAccountName" -}}
{{- .Values.operator.serviceAccount.name | default (include "videofleet.operatorName" .) -}}
{{- end -}}

{{/* Holds the authority that signs the workers' certificates; made by the operator, kept when the release goes. */}}
{{- define "videofleet.authoritySecret" -}}
{{- include "videofleet.fullname" . }}-worker-authority
{{- end -}}

{{/* The key pair with which the gateway reads from workers; made by the operator, where there is a gateway. */}}
{{- define "videofleet.readerSecret" -}}
{{- include "videofleet.fullname" . }}-worker-reader
{{- end -}}

{{- define "videofleet.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/name: {{ include "videofleet.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: videofleet
{{- end -}}

{{- define "videofleet.operatorSelector" -}}
app.kubernetes.io/name: {{ include "videofleet.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "videofleet.gatewayName" -}}
{{- include "videofleet.fullname" . }}-gateway
{{- end -}}

{{/* Cluster-scoped objects of the gateway. */}}
{{- define "videofleet.gatewayClusterName" -}}
{{- .Release.Namespace }}-{{ include "videofleet.gatewayName" . }}
{{- end -}}

{{- define "videofleet.gatewayAccountName" -}}
{{- .Values.gateway.serviceAccount.name | default (include "videofleet.gatewayName" .) -}}
{{- end -}}

{{- define "videofleet.gatewaySelector" -}}
app.kubernetes.io/name: {{ include "videofleet.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: gateway
{{- end -}}

{{/* The volume of its SQLite database; empty with PostgreSQL. */}}
{{- define "videofleet.gatewayClaim" -}}
{{- if not .Values.gateway.database.urlSecretRef.name -}}
{{- .Values.gateway.database.existingClaim | default (printf "%s-database" (include "videofleet.gatewayName" .)) -}}
{{- end -}}
{{- end -}}

{{/* Image reference; takes a list of the root context and the image's values. */}}
{{- define "videofleet.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- if $image.digest -}}
{{- $image.repository }}@{{ $image.digest }}
{{- else -}}
{{- $image.repository }}:{{ $image.tag | default $root.Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "videofleet.archiveClaim" -}}
{{- if .Values.archive.s3.bucket -}}
{{- else if .Values.archive.existingClaim -}}
{{- .Values.archive.existingClaim -}}
{{- else if .Values.archive.create -}}
{{- include "videofleet.fullname" . }}-archive
{{- end -}}
{{- end -}}

{{/* Where the pools keep results, as a YAML map; empty: nowhere. */}}
{{- define "videofleet.archive" -}}
{{- if .Values.archive.s3.bucket -}}
{{- $s3 := .Values.archive.s3 -}}
s3:
  bucket: {{ $s3.bucket }}
  {{- with $s3.prefix }}
  prefix: {{ . | quote }}
  {{- end }}
  {{- with $s3.endpoint }}
  endpoint: {{ . | quote }}
  {{- end }}
  region: {{ $s3.region | quote }}
  credentialsSecretRef:
    name: {{ required "archive.s3.credentialsSecret names the Secret with accessKeyId and secretAccessKey" $s3.credentialsSecret }}
{{- else -}}
{{- with include "videofleet.archiveClaim" . -}}
claimName: {{ . }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Namespaces that the operator serves, as a YAML list; empty: all. Pools are in the release's own. */}}
{{- define "videofleet.servedNamespaces" -}}
{{- if .Values.watchNamespaces -}}
{{- concat (list .Release.Namespace) .Values.watchNamespaces | uniq | toYaml -}}
{{- else -}}
[]
{{- end -}}
{{- end -}}

{{/* The restricted profile of the Pod Security Standards. */}}
{{- define "videofleet.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "videofleet.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

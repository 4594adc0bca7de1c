{{/* Names, labels, images: what everything is called by. */}}

{{- define "headgate.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Of the release, and of the edge gateway. A Service's name begins with a letter, a release's need not. */}}
{{- define "headgate.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := .Values.fullnameOverride -}}
{{- if not $full -}}
  {{- $full = contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- end -}}
{{- if not (regexMatch "^[a-z]" $full) -}}{{- $full = printf "hg-%s" $full -}}{{- end -}}
{{- $full | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Of one thing of the release: (list . "suffix"). What is too long loses its middle, never the suffix. */}}
{{- define "headgate.named" -}}
{{- $suffix := index . 1 -}}
{{- printf "%s-%s" (include "headgate.fullname" (index . 0) | trunc (int (sub 62 (len $suffix))) | trimSuffix "-") $suffix -}}
{{- end -}}

{{/* Of a use: (list . "edge"). */}}
{{- define "headgate.use" -}}
{{- if eq (index . 1) "edge" -}}{{ include "headgate.fullname" (index . 0) }}{{- else -}}{{ include "headgate.named" . }}{{- end -}}
{{- end -}}

{{- define "headgate.selector" -}}
app.kubernetes.io/name: {{ include "headgate.name" (index . 0) | quote }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name | trunc 63 | trimAll "-_." | quote }}
app.kubernetes.io/component: {{ index . 1 | quote }}
{{- end -}}

{{/* Of pods: (list . "edge"). Without the chart's version, which says nothing of them and would replace them. */}}
{{- define "headgate.podLabels" -}}
{{- $root := index . 0 -}}
{{- $version := default $root.Chart.AppVersion $root.Values.image.tag | replace "+" "_" | trunc 63 | trimAll "-_." -}}
{{- $ours := dict "app.kubernetes.io/version" $version "app.kubernetes.io/part-of" "headgate" "app.kubernetes.io/managed-by" $root.Release.Service -}}
{{- merge (include "headgate.selector" . | fromYaml) $root.Values.commonLabels $ours | toYaml -}}
{{- end -}}

{{/* Of everything: (list . "edge"). */}}
{{- define "headgate.labels" -}}
{{- $chart := (index . 0).Chart -}}
{{- $ours := dict "helm.sh/chart" (printf "%s-%s" $chart.Name $chart.Version | replace "+" "_" | trunc 63 | trimAll "-_.") -}}
{{- merge (include "headgate.podLabels" . | fromYaml) $ours | toYaml -}}
{{- end -}}

{{/* A manifest's metadata: (dict "root" . "use" "edge" "name" ... "labels" {} "annotations" {} "cluster" false). */}}
{{- define "headgate.metadata" -}}
{{- $annotations := merge (dict) (default dict .annotations) .root.Values.commonAnnotations -}}
name: {{ .name | quote }}
{{- if not .cluster }}
namespace: {{ .root.Release.Namespace | quote }}
{{- end }}
labels:
  {{- merge (include "headgate.labels" (list .root .use) | fromYaml) (default dict .labels) | toYaml | nindent 2 }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "headgate.image" -}}
{{- $image := .Values.image -}}
{{- $registry := default $image.registry .Values.global.imageRegistry -}}
{{- $path := ternary $image.repository (printf "%s/%s" $registry $image.repository) (empty $registry) -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $path $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $path (default .Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "headgate.serviceAccount" -}}
{{- $root := index . 0 -}}
{{- if $root.Values.serviceAccount.name -}}
{{- $root.Values.serviceAccount.name -}}
{{- else if $root.Values.serviceAccount.create -}}
{{- include "headgate.use" . -}}
{{- else -}}
default
{{- end -}}
{{- end -}}

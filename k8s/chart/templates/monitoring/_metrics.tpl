{{/* Pods that tell metrics: those of `edge` and `extproc`. */}}
{{- define "headgate.metrics.selector" -}}
app.kubernetes.io/name: {{ include "headgate.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | trunc 63 | trimAll "-_." | quote }}
headgate.io/metrics: "true"
{{- end -}}

{{/* How they are asked: a monitor's settings. */}}
{{- define "headgate.metrics.endpoint" -}}
- port: admin
  path: /metrics
  interval: {{ .interval }}
  scrapeTimeout: {{ .scrapeTimeout }}
  {{- with .relabelings }}
  relabelings:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .metricRelabelings }}
  metricRelabelings:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

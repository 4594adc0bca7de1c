{{/* How many pods there are, and how many may be away. */}}

{{/* (list . "edge") */}}
{{- define "headgate.hpa" -}}
{{- $use := get (index . 0).Values (index . 1) -}}
{{- $scaling := $use.autoscaling -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "headgate.metadata" (dict "root" (index . 0) "use" (index . 1) "name" (include "headgate.use" .)) | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "headgate.use" . | quote }}
  minReplicas: {{ int $scaling.minReplicas }}
  maxReplicas: {{ int $scaling.maxReplicas }}
  metrics:
    {{- range $name, $target := dict "cpu" $scaling.targetCPUUtilizationPercentage "memory" $scaling.targetMemoryUtilizationPercentage }}
    {{- if $target }}
    - type: Resource
      resource:
        name: {{ $name }}
        target: {type: Utilization, averageUtilization: {{ int $target }}}
    {{- end }}
    {{- end }}
    {{- with $scaling.metrics }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $scaling.behavior }}
  behavior:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* (list . "edge") */}}
{{- define "headgate.pdb" -}}
{{- $budget := (get (index . 0).Values (index . 1)).podDisruptionBudget -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "headgate.metadata" (dict "root" (index . 0) "use" (index . 1) "name" (include "headgate.use" .)) | nindent 2 }}
spec:
  maxUnavailable: {{ $budget.maxUnavailable }}
  {{- with $budget.unhealthyPodEvictionPolicy }}
  unhealthyPodEvictionPolicy: {{ . }}
  {{- end }}
  selector:
    matchLabels:
      {{- include "headgate.selector" . | nindent 6 }}
{{- end -}}

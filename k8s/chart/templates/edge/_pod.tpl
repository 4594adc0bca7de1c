{{- define "headgate.edge.container" -}}
args: [up, /etc/headgate/gateway.yaml, --state, /var/lib/headgate]
ports:
  - {name: http, containerPort: {{ int .root.Values.ports.http }}, protocol: TCP}
  - {name: admin, containerPort: {{ int .root.Values.ports.admin }}, protocol: TCP}
{{- include "headgate.environment" . }}
startupProbe:
  {{- include "headgate.probe" (list .pod.startupProbe (dict "httpGet" (dict "path" "/readyz" "port" "admin"))) | nindent 2 }}
readinessProbe:
  {{- include "headgate.probe" (list .pod.readinessProbe (dict "httpGet" (dict "path" "/readyz" "port" "admin"))) | nindent 2 }}
livenessProbe:
  {{- include "headgate.probe" (list .pod.livenessProbe (dict "httpGet" (dict "path" "/healthz" "port" "admin"))) | nindent 2 }}
volumeMounts:
  {{- include "headgate.mounts" . | nindent 2 }}
{{- end -}}

{{- define "headgate.edge.volumes" -}}
{{- include "headgate.volumes" (list . "edge") -}}
{{- end -}}

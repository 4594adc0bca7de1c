{{- define "headgate.edge.container" -}}
args: [up, /etc/headgate/gateway.yaml, --state, /var/lib/headgate]
ports:
  - {name: http, containerPort: {{ int .root.Values.ports.http }}, protocol: TCP}
  {{- if .root.Values.edge.tls.http3 }}
  - {name: http3, containerPort: {{ int .root.Values.ports.http }}, protocol: UDP}
  {{- end }}
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
  {{- if .root.Values.edge.tls.existingSecret }}
  - {name: certificates, mountPath: /run/headgate-tls, readOnly: true}
  {{- end }}
{{- end -}}

{{- define "headgate.edge.volumes" -}}
{{- include "headgate.volumes" (list . "edge") -}}
{{- with .Values.edge.tls.existingSecret }}
- name: certificates
  secret:
    secretName: {{ . | quote }}
    defaultMode: 0400
{{- end }}
{{- end -}}

{{/* What is spoken at the callers' listener: `http`, `https`; or `tcp`, where a client has to say more than that to get in. */}}
{{- define "headgate.edge.speaks" -}}
{{- $listener := default dict .Values.config.listener -}}
{{- $tls := default dict $listener.tls -}}
{{- if or $listener.proxy_protocol $tls.client_ca $tls.sds -}}tcp
{{- else if or .Values.edge.tls.existingSecret $tls -}}https
{{- else -}}http
{{- end -}}
{{- end -}}

{{/* Whether there is TLS, however: "yes" or nothing. */}}
{{- define "headgate.edge.secured" -}}
{{- if or .Values.edge.tls.existingSecret (default dict .Values.config.listener).tls -}}yes{{- end -}}
{{- end -}}

{{/* Port of the Service. */}}
{{- define "headgate.edge.port" -}}
{{- default (include "headgate.edge.secured" . | empty | ternary 80 443) .Values.edge.service.port | int -}}
{{- end -}}

{{/* Its URL within the cluster. */}}
{{- define "headgate.edge.url" -}}
{{- printf "%s://%s.%s.svc:%s" (include "headgate.edge.secured" . | empty | ternary "http" "https") (include "headgate.use" (list . "edge")) .Release.Namespace (include "headgate.edge.port" .) -}}
{{- end -}}

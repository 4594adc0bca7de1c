{{- define "headgate.extproc.container" -}}
args: [serve, /etc/headgate/gateway.yaml, --state, /var/lib/headgate, --run-dir, /var/lib/headgate/run]
ports:
  - {name: gate, containerPort: {{ int .root.Values.ports.gate }}, protocol: TCP}
  - {name: adapter, containerPort: {{ int .root.Values.ports.adapter }}, protocol: TCP}
  - {name: health, containerPort: {{ int .root.Values.ports.health }}, protocol: TCP}
  - {name: admin, containerPort: {{ int .root.Values.ports.admin }}, protocol: TCP}
{{- include "headgate.environment" . }}
{{- $grpc := dict "grpc" (dict "port" (int .root.Values.ports.health)) }}
startupProbe:
  {{- include "headgate.probe" (list .pod.startupProbe $grpc) | nindent 2 }}
readinessProbe:
  {{- include "headgate.probe" (list .pod.readinessProbe $grpc) | nindent 2 }}
livenessProbe:
  {{- include "headgate.probe" (list .pod.livenessProbe (dict "httpGet" (dict "path" "/healthz" "port" "admin"))) | nindent 2 }}
volumeMounts:
  {{- include "headgate.mounts" . | nindent 2 }}
  - {name: certificates, mountPath: /run/headgate-tls, readOnly: true}
{{- end -}}

{{- define "headgate.extproc.volumes" -}}
{{ include "headgate.volumes" (list . "extproc") }}
- name: certificates
  secret:
    secretName: {{ include "headgate.extproc.secret" . | quote }}
    defaultMode: 0400
{{- end -}}

{{- define "headgate.extproc.secret" -}}
{{- $tls := .Values.extproc.tls -}}
{{- if eq $tls.mode "existingSecret" -}}
{{- required "extproc.tls.existingSecret: name the Secret that has tls.crt, tls.key and ca.crt" $tls.existingSecret -}}
{{- else -}}
{{- include "headgate.named" (list . "extproc-tls") -}}
{{- end -}}
{{- end -}}

{{/* The section `ext_proc` of gateway.yaml, as far as it is not said. */}}
{{- define "headgate.extproc.section" -}}
address: 0.0.0.0
host: {{ printf "%s.%s.svc" (include "headgate.use" (list . "extproc")) .Release.Namespace | quote }}
tls:
  certificate: /run/headgate-tls/tls.crt
  key: /run/headgate-tls/tls.key
  client_ca: /run/headgate-tls/ca.crt
{{- end -}}

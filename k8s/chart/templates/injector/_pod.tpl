{{- define "headgate.injector.container" -}}
args:
  - injector
  - --settings=/etc/headgate/injector.yaml
  - --certificate=/tls/tls.crt
  - --key=/tls/tls.key
  - --address=0.0.0.0
  - --port={{ int .root.Values.injector.port }}
  - --drain-delay={{ .root.Values.drain.delay }}
  # So the API server need not be asked, and the pod has no token. What counts is whether it has native sidecars.
  - --kubernetes-version={{ .root.Capabilities.KubeVersion.Major }}.{{ trimSuffix "+" .root.Capabilities.KubeVersion.Minor }}
ports:
  - {name: https, containerPort: {{ int .root.Values.injector.port }}, protocol: TCP}
{{- with .pod.extraEnv }}
env:
  {{- tpl (toYaml .) $.root | nindent 2 }}
{{- end }}
{{- with .pod.extraEnvFrom }}
envFrom:
  {{- tpl (toYaml .) $.root | nindent 2 }}
{{- end }}
startupProbe:
  {{- include "headgate.probe" (list .pod.startupProbe (dict "httpGet" (dict "path" "/readyz" "port" "https" "scheme" "HTTPS"))) | nindent 2 }}
readinessProbe:
  {{- include "headgate.probe" (list .pod.readinessProbe (dict "httpGet" (dict "path" "/readyz" "port" "https" "scheme" "HTTPS"))) | nindent 2 }}
livenessProbe:
  {{- include "headgate.probe" (list .pod.livenessProbe (dict "httpGet" (dict "path" "/healthz" "port" "https" "scheme" "HTTPS"))) | nindent 2 }}
volumeMounts:
  - {name: config, mountPath: /etc/headgate, readOnly: true}
  - {name: certificates, mountPath: /tls, readOnly: true}
  - {name: tmp, mountPath: /tmp}
  {{- with .pod.extraVolumeMounts }}
  {{- tpl (toYaml .) $.root | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "headgate.injector.volumes" -}}
- name: config
  configMap:
    name: {{ include "headgate.use" (list . "injector") | quote }}
- name: certificates
  secret:
    secretName: {{ include "headgate.injector.secret" . | quote }}
    defaultMode: 0400
- name: tmp
  emptyDir:
    sizeLimit: 64Mi
{{- end -}}

{{- define "headgate.injector.secret" -}}
{{- $tls := .Values.injector.tls -}}
{{- if eq $tls.mode "existingSecret" -}}
{{- required "injector.tls.existingSecret: name the Secret that has tls.crt and tls.key" $tls.existingSecret -}}
{{- else -}}
{{- include "headgate.named" (list . "injector-tls") -}}
{{- end -}}
{{- end -}}

{{/* injector.yaml */}}
{{- define "headgate.injector.settings" -}}
{{- $settings := deepCopy .Values.injector.settings -}}
{{- if not $settings.image -}}{{- $_ := set $settings "image" (include "headgate.image" .) -}}{{- end -}}
{{- if not $settings.image_pull_policy -}}{{- $_ := set $settings "image_pull_policy" .Values.image.pullPolicy -}}{{- end -}}
{{- toYaml $settings -}}
{{- end -}}

{{/* Pods: what those of all uses have in common. */}}

{{/* The settings of a use's pods: `pod`, with what the use has otherwise: (list . "edge"). */}}
{{- define "headgate.pod" -}}
{{- $root := index . 0 -}}
{{- $pod := deepCopy $root.Values.pod -}}
{{- range $key, $value := (get $root.Values (index . 1)).pod -}}{{- $_ := set $pod $key $value -}}{{- end -}}
{{- toYaml $pod -}}
{{- end -}}

{{/* A Deployment: (dict "root" . "use" "edge" "checksum" ...). The use has a template `headgate.USE.container` and `headgate.USE.volumes`. */}}
{{- define "headgate.deployment" -}}
{{- $root := .root -}}
{{- $which := list .root .use -}}
{{- $use := get .root.Values .use -}}
{{- $pod := include "headgate.pod" $which | fromYaml -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "headgate.metadata" (dict "root" .root "use" .use "name" (include "headgate.use" $which)) | nindent 2 }}
spec:
  {{- if not (default dict $use.autoscaling).enabled }}
  replicas: {{ int $use.replicas }}
  {{- end }}
  revisionHistoryLimit: {{ int $pod.revisionHistoryLimit }}
  {{- with $pod.strategy }}
  strategy:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  selector:
    matchLabels:
      {{- include "headgate.selector" $which | nindent 6 }}
  template:
    metadata:
      labels:
        # A sidecar beside a gateway would be a gateway too many.
        {{- $ours := merge (include "headgate.podLabels" $which | fromYaml) (dict "headgate.io/inject" "false") (default dict .labels) }}
        {{- merge $ours (default dict $pod.labels) | toYaml | nindent 8 }}
      {{- $annotations := deepCopy (default dict $pod.annotations) }}
      {{- if .checksum }}{{- $_ := set $annotations "checksum/config" (sha256sum .checksum) }}{{- end }}
      {{- with $annotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      serviceAccountName: {{ include "headgate.serviceAccount" $which | quote }}
      automountServiceAccountToken: {{ $pod.automountServiceAccountToken }}
      # Variables of Services, such as HEADGATE_PORT, would be taken for settings.
      enableServiceLinks: false
      {{- with concat .root.Values.global.imagePullSecrets .root.Values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $pod.podSecurityContext }}
      securityContext:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      terminationGracePeriodSeconds: {{ include "headgate.grace" (list .root $pod .use) }}
      {{- range $key := list "priorityClassName" "runtimeClassName" "dnsPolicy" }}
      {{- with get $pod $key }}
      {{ $key }}: {{ . | quote }}
      {{- end }}
      {{- end }}
      {{- range $key := list "dnsConfig" "hostAliases" "nodeSelector" "tolerations" "affinity" "initContainers" }}
      {{- with get $pod $key }}
      {{ $key }}:
        {{- tpl (toYaml .) $root | nindent 8 }}
      {{- end }}
      {{- end }}
      {{- with $pod.topologySpreadConstraints }}
      topologySpreadConstraints:
        {{- range . }}
        - {{ toYaml . | nindent 10 | trim }}
          {{- if not .labelSelector }}
          labelSelector:
            matchLabels:
              {{- include "headgate.selector" $which | nindent 14 }}
          {{- end }}
        {{- end }}
      {{- end }}
      containers:
        - name: {{ .use }}
          image: {{ include "headgate.image" .root | quote }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          {{- include (printf "headgate.%s.container" .use) (dict "root" .root "pod" $pod) | nindent 10 }}
          {{- with $pod.securityContext }}
          securityContext:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          {{- with $use.resources }}
          resources:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          {{- with $pod.lifecycle }}
          lifecycle:
            {{- toYaml . | nindent 12 }}
          {{- end }}
        {{- with $pod.extraContainers }}
        {{- tpl (toYaml .) $root | nindent 8 }}
        {{- end }}
      volumes:
        {{- include (printf "headgate.%s.volumes" .use) .root | nindent 8 }}
        {{- with $pod.extraVolumes }}
        {{- tpl (toYaml .) $root | nindent 8 }}
        {{- end }}
{{- end -}}

{{/* Seconds from SIGTERM to SIGKILL: (list . pod "edge"). The injector has nothing under way that takes long. */}}
{{- define "headgate.grace" -}}
{{- $drain := (index . 0).Values.drain -}}
{{- $needed := int (ceil (addf $drain.delay (eq (index . 2) "injector" | ternary 15 $drain.seconds))) -}}
{{- $given := (index . 1).terminationGracePeriodSeconds -}}
{{- if kindIs "invalid" $given -}}
{{- add $needed 10 -}}
{{- else if lt (int $given) (int (add $needed 5)) -}}
{{- fail (printf "pod.terminationGracePeriodSeconds is %d: pods would be killed while they drain, which takes drain.delay, drain.seconds and 5 more: %d" (int $given) (int (add $needed 5))) -}}
{{- else -}}
{{- int $given -}}
{{- end -}}
{{- end -}}

{{/* Environment of a container that has a gateway.yaml. */}}
{{- define "headgate.environment" -}}
{{- $values := .root.Values -}}
{{- $first := and (not $values.config) (not $values.existingConfigMap) -}}
{{- if or .pod.extraEnv $first }}
env:
  {{- if $first }}
  - name: HEADGATE_FIRST_KEY
    valueFrom:
      secretKeyRef:
        name: {{ include "headgate.named" (list .root "first-key") | quote }}
        key: key
  {{- end }}
  {{- with .pod.extraEnv }}
  {{- tpl (toYaml .) $.root | nindent 2 }}
  {{- end }}
{{- end }}
{{- if or .pod.extraEnvFrom $values.existingSecret }}
envFrom:
  {{- with $values.existingSecret }}
  - secretRef:
      name: {{ . | quote }}
  {{- end }}
  {{- with .pod.extraEnvFrom }}
  {{- tpl (toYaml .) $.root | nindent 2 }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Mounts of a container that has a gateway.yaml. */}}
{{- define "headgate.mounts" -}}
- {name: config, mountPath: /etc/headgate, readOnly: true}
- {name: state, mountPath: /var/lib/headgate}
- {name: tmp, mountPath: /tmp}
{{- if .root.Values.existingSecretFiles }}
- {name: secrets, mountPath: /run/secrets/headgate, readOnly: true}
{{- end }}
{{- with .pod.extraVolumeMounts }}
{{ tpl (toYaml .) $.root }}
{{- end }}
{{- end -}}

{{/* Its volumes: (list . "edge"). */}}
{{- define "headgate.volumes" -}}
{{- $values := (index . 0).Values -}}
- name: config
  configMap:
    name: {{ include "headgate.configMap" . | quote }}
{{ include "headgate.scratch" (index . 0) }}
{{- end -}}

{{/* Those that are empty at the start, and secrets. */}}
{{- define "headgate.scratch" -}}
- name: state
  emptyDir:
    sizeLimit: {{ .Values.state.sizeLimit | quote }}
    {{- with .Values.state.medium }}
    medium: {{ . | quote }}
    {{- end }}
- name: tmp
  emptyDir:
    sizeLimit: 256Mi
{{- with .Values.existingSecretFiles }}
- name: secrets
  secret:
    secretName: {{ . | quote }}
    defaultMode: 0400
{{- end }}
{{- end -}}

{{/* A container that brings tables up to date: (dict "root" . "pod" ... "table" "store"). */}}
{{- define "headgate.migration" -}}
- name: {{ .table }}
  image: {{ include "headgate.image" .root | quote }}
  imagePullPolicy: {{ .root.Values.image.pullPolicy }}
  args: [{{ .table }}, migrate, /etc/headgate/gateway.yaml, --state, /var/lib/headgate]
  {{- include "headgate.environment" . | nindent 2 }}
  volumeMounts:
    {{- include "headgate.mounts" . | nindent 4 }}
  {{- with .pod.securityContext }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .root.Values.migrations.resources }}
  resources:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* A probe of the pod's settings with a handler: (list probe handler). */}}
{{- define "headgate.probe" -}}
{{- toYaml (merge (dict) (index . 1) (index . 0)) -}}
{{- end -}}

{{/* Who may reach pods, and whom they may reach. */}}

{{/* A rule for ports: (dict "peers" [] "way" "from" "ports" [] "protocols" [TCP]). */}}
{{- define "headgate.rule" -}}
{{- $protocols := default (list "TCP") .protocols -}}
- ports:
    {{- range $port := .ports }}
    {{- if kindIs "map" $port }}
    - {{ toYaml $port | nindent 6 | trim }}
    {{- else }}
    {{- range eq (toString $port) "http3" | ternary (list "UDP") $protocols }}
    - {port: {{ toYaml $port }}, protocol: {{ . }}}
    {{- end }}
    {{- end }}
    {{- end }}
  {{- with .peers }}
  {{ $.way }}:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* (dict "root" . "use" "edge" "ports" [http] "metrics" true "out" true) */}}
{{- define "headgate.policy" -}}
{{- $values := .root.Values -}}
{{- $egress := $values.networkPolicy.egress -}}
{{- $which := list .root .use -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "headgate.metadata" (dict "root" .root "use" .use "name" (include "headgate.use" $which)) | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "headgate.selector" $which | nindent 6 }}
  policyTypes: [Ingress{{ if $egress.enabled }}, Egress{{ end }}]
  ingress:
    {{- $from := (get $values .use).allowFrom }}
    {{- /* `helm test` has to get in, too. */}}
    {{- if $from }}{{- $from = append $from (dict "podSelector" (dict "matchLabels" (include "headgate.selector" (list .root "test") | fromYaml))) }}{{- end }}
    {{- include "headgate.rule" (dict "way" "from" "ports" .ports "peers" $from) | nindent 4 }}
    {{- if and .metrics $values.networkPolicy.metricsFrom }}
    {{- include "headgate.rule" (dict "way" "from" "ports" (list "admin") "peers" $values.networkPolicy.metricsFrom) | nindent 4 }}
    {{- end }}
  {{- if $egress.enabled }}
  {{- if .out }}
  egress:
    {{- include "headgate.rule" (dict "way" "to" "ports" $egress.dns.ports "peers" $egress.dns.to "protocols" (list "UDP" "TCP")) | nindent 4 }}
    {{- include "headgate.rule" (dict "way" "to" "ports" $egress.providers.ports "peers" $egress.providers.to) | nindent 4 }}
    {{- if include "headgate.has" (list .root "redis") }}
    {{- include "headgate.rule" (dict "way" "to" "ports" $egress.redis.ports "peers" $egress.redis.to) | nindent 4 }}
    {{- end }}
    {{- if or (include "headgate.has" (list .root "store")) (include "headgate.has" (list .root "ledger")) }}
    {{- include "headgate.rule" (dict "way" "to" "ports" $egress.postgresql.ports "peers" $egress.postgresql.to) | nindent 4 }}
    {{- end }}
    {{- with $egress.extra }}
    {{- tpl (toYaml .) $.root | nindent 4 }}
    {{- end }}
  {{- else }}
  egress: []
  {{- end }}
  {{- end }}
{{- end -}}

{{/* Certificates: made by Helm and kept on upgrade, or asked of cert-manager. */}}

{{/* Names that a Service is asked by: (list . "service"). */}}
{{- define "headgate.dnsNames" -}}
{{- $name := index . 1 -}}
{{- $space := (index . 0).Release.Namespace -}}
{{- list (printf "%s.%s.svc" $name $space) (printf "%s.%s.svc.cluster.local" $name $space) (printf "%s.%s" $name $space) $name | toYaml -}}
{{- end -}}

{{/* An issuer that signs itself, unless there is one; its reference: (dict "root" . "use" "injector" "name" ... "given" {}). */}}
{{- define "headgate.selfSigned" -}}
apiVersion: cert-manager.io/v1
kind: Issuer
metadata:
  {{- include "headgate.metadata" (dict "root" .root "use" .use "name" .name) | nindent 2 }}
spec:
  selfSigned: {}
{{- end -}}

{{/* A Certificate: (dict "root" . "use" ... "name" ... "issuer" {} "settings" tls.certManager "dnsNames" [] "usages" [] "ca" false). */}}
{{- define "headgate.certificate" -}}
apiVersion: cert-manager.io/v1
kind: Certificate
metadata:
  {{- include "headgate.metadata" (dict "root" .root "use" .use "name" .name) | nindent 2 }}
spec:
  secretName: {{ .name | quote }}
  {{- if .ca }}
  isCA: true
  commonName: {{ .name | quote }}
  {{- end }}
  {{- with .dnsNames }}
  dnsNames:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .usages }}
  usages:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  duration: {{ .settings.duration | quote }}
  renewBefore: {{ .settings.renewBefore | quote }}
  privateKey:
    algorithm: ECDSA
    size: 256
    rotationPolicy: Always
  issuerRef:
    {{- toYaml .issuer | nindent 4 }}
{{- end -}}

{{/* A Secret with a certificate: (dict "root" . "use" ... "name" ... "crt" ... "key" ... "ca" ...), all in base64. */}}
{{- define "headgate.tlsSecret" -}}
apiVersion: v1
kind: Secret
type: kubernetes.io/tls
metadata:
  {{- include "headgate.metadata" (dict "root" .root "use" .use "name" .name) | nindent 2 }}
data:
  tls.crt: {{ .crt | quote }}
  tls.key: {{ .key | quote }}
  ca.crt: {{ .ca | quote }}
{{- end -}}

{{/* Namespaces whose pods are nobody's business: a webhook that is asked for its own pods never starts. */}}
{{- define "headgate.injector.elsewhere" -}}
- key: kubernetes.io/metadata.name
  operator: NotIn
  values:
    {{- range concat (list "kube-system" .Release.Namespace) .Values.injector.webhook.excludedNamespaces | uniq }}
    - {{ . | quote }}
    {{- end }}
{{- end -}}

{{/* What both webhooks have in common: (list . bundle). */}}
{{- define "headgate.injector.webhook" -}}
{{- $root := index . 0 -}}
{{- $hook := $root.Values.injector.webhook -}}
rules:
  - {operations: [CREATE], apiGroups: [""], apiVersions: [v1], resources: [pods], scope: Namespaced}
clientConfig:
  service:
    name: {{ include "headgate.use" (list $root "injector") | quote }}
    namespace: {{ $root.Release.Namespace | quote }}
    path: /mutate
    port: 443
  {{- with index . 1 }}
  caBundle: {{ . | quote }}
  {{- end }}
admissionReviewVersions: [v1]
sideEffects: None
matchPolicy: Equivalent
failurePolicy: {{ $hook.failurePolicy }}
reinvocationPolicy: {{ $hook.reinvocationPolicy }}
timeoutSeconds: {{ int $hook.timeoutSeconds }}
{{- end -}}

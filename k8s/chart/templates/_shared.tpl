{{/* What several pods have to share, and where it stands. */}}

{{/* Most pods of a use: (list . "edge"). */}}
{{- define "headgate.pods" -}}
{{- $use := get (index . 0).Values (index . 1) -}}
{{- if not $use.enabled -}}0
{{- else if $use.autoscaling.enabled -}}{{ int $use.autoscaling.maxReplicas }}
{{- else -}}{{ int $use.replicas }}
{{- end -}}
{{- end -}}

{{/* Gateways that share one Redis, at most. */}}
{{- define "headgate.machines" -}}
{{- max 1 (add (include "headgate.pods" (list . "edge") | int) (include "headgate.pods" (list . "extproc") | int)) -}}
{{- end -}}

{{/* A line for each thing that pods would keep for themselves. Of a configuration that is not ours nobody can tell. */}}
{{- define "headgate.apart" -}}
{{- $config := .Values.config -}}
{{- if not .Values.existingConfigMap -}}
{{- $names := list -}}
{{- range $config.filters -}}{{- $names = concat $names (keys .) -}}{{- end -}}
{{- if not $config.filters -}}{{- $names = list "meter" "limits" "conversations" -}}{{- end -}}
{{- if not $config -}}{{- $names = list "meter" "limits" -}}{{- end -}}
{{- if and $config (not $config.store) (ne (get (default dict $config.api) "address") "off") }}
- identities: organizations, teams, users and keys that are made at one pod are unknown at the others, and gone with it. Give config.store.url (PostgreSQL), or declare all of them in config.identities and switch the admin API off (config.api.address: "off").
{{- end }}
{{- if and (has "meter" $names) (not $config.ledger) }}
- ledger: each pod has the entries of its own requests, and they are gone with it. Give config.ledger.url (PostgreSQL).
{{- end }}
{{- if and (has "limits" $names) (not $config.redis) }}
- limits: each pod counts for itself, so limits and budgets allow as many times as much as there are pods, and begin anew with each of them. Give config.redis.url, or leave the filter `limits` out.
{{- end }}
{{- if and (has "conversations" $names) (not $config.redis) }}
- conversations: a response of the Responses API can be gone on from at the pod that gave it alone. Give config.redis.url, or leave the filter `conversations` out.
{{- end }}
{{- end -}}
{{- end -}}

{{/* Refuses what would differ from pod to pod. */}}
{{- define "headgate.together" -}}
{{- $pods := add (include "headgate.pods" (list . "edge") | int) (include "headgate.pods" (list . "extproc") | int) -}}
{{- $apart := include "headgate.apart" . | trim -}}
{{- if and (gt (int $pods) 1) $apart (not .Values.allowLocalState) -}}
{{- fail (printf "\n\nThere may be %d pods, and what they ought to share each would have for itself:\n%s\nSay `allowLocalState: true` if that is what you want; one pod (replicas: 1, autoscaling off) needs none of it.\n" (int $pods) $apart) -}}
{{- end -}}
{{- end -}}

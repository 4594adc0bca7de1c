{{/* gateway.yaml: what `config` says, with what pods have to agree on; and what would be wrong with it here. */}}

{{/* Name of the ConfigMap of a use: (list . "edge"). */}}
{{- define "headgate.configMap" -}}
{{- default (include "headgate.use" .) (index . 0).Values.existingConfigMap -}}
{{- end -}}

{{/* The whole of gateway.yaml for a use. */}}
{{- define "headgate.config" -}}
{{- $root := index . 0 -}}
{{- $use := index . 1 -}}
{{- $values := $root.Values -}}
{{- $config := deepCopy $values.config -}}
{{- if not $config -}}
  {{- if eq $use "extproc" -}}
    {{- fail "config: the ext_proc service needs a configuration: at least `providers` and `models` (or existingConfigMap)" -}}
  {{- end -}}
  {{- $config = include "headgate.first" $root | fromYaml -}}
{{- end -}}
{{- include "headgate.clear" $config -}}
{{- include "headgate.door" $config -}}
{{- $pod := include "headgate.pod" . | fromYaml -}}
{{- if and (contains "file:/run/secrets/headgate/" (toYaml $config)) (not (or $values.existingSecretFiles $pod.extraVolumeMounts)) -}}
  {{- fail "config refers to files below /run/secrets/headgate, where nothing is: name the Secret that has them (existingSecretFiles)" -}}
{{- end -}}
{{- include "headgate.agreed" (list $config (list "admin" "address") "0.0.0.0" "") -}}
{{- include "headgate.agreed" (list $config (list "admin" "port") $values.ports.admin "ports.admin") -}}
{{- include "headgate.agreed" (list $config (list "drain") $values.drain.seconds "drain.seconds") -}}
{{- include "headgate.agreed" (list $config (list "drain_delay") $values.drain.delay "drain.delay") -}}
{{- include "headgate.agreed" (list $config (list "state") "/var/lib/headgate" "the pod's folder for it") -}}
{{- if eq $use "edge" -}}
  {{- include "headgate.agreed" (list $config (list "listener" "address") "0.0.0.0" "") -}}
  {{- include "headgate.agreed" (list $config (list "listener" "port") $values.ports.http "ports.http") -}}
  {{- if $values.edge.tls.existingSecret -}}
    {{- include "headgate.agreed" (list $config (list "listener" "tls" "certificate") "/run/headgate-tls/tls.crt" "edge.tls.existingSecret, a file,") -}}
    {{- include "headgate.agreed" (list $config (list "listener" "tls" "key") "/run/headgate-tls/tls.key" "edge.tls.existingSecret, a file,") -}}
  {{- end -}}
  {{- if $values.edge.tls.http3 -}}
    {{- include "headgate.agreed" (list $config (list "listener" "http3") true "edge.tls.http3") -}}
    {{- include "headgate.agreed" (list $config (list "listener" "http3_port") (include "headgate.edge.port" $root | int) "") -}}
  {{- end -}}
  {{- $_ := unset $config "ext_proc" -}}
{{- else -}}
  {{- range $port := list "gate" "adapter" "health" -}}
    {{- include "headgate.agreed" (list $config (list "ext_proc" (printf "%s_port" $port)) (get $values.ports $port) (printf "ports.%s" $port)) -}}
  {{- end -}}
  {{- $_ := set $config "ext_proc" (merge (dict) $config.ext_proc (include "headgate.extproc.section" $root | fromYaml)) -}}
{{- end -}}
{{- if and (kindIs "map" $config.redis) (not (hasKey (default dict $config.redis) "machines")) -}}
  {{- $_ := set $config.redis "machines" (include "headgate.machines" $root | int) -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{/* What is set in `config` if nothing is said, and refused if something else is: (list config path value "name of the value"). */}}
{{- define "headgate.agreed" -}}
{{- $config := index . 0 -}}{{- $path := index . 1 -}}{{- $value := index . 2 -}}{{- $name := index . 3 -}}
{{- $holder := $config -}}
{{- range initial $path -}}
  {{- if not (hasKey $holder .) -}}{{- $_ := set $holder . dict -}}{{- end -}}
  {{- $holder = index $holder . -}}
{{- end -}}
{{- if not (hasKey $holder (last $path)) -}}
  {{- $_ := set $holder (last $path) $value -}}
{{- else if and $name (ne (toString (index $holder (last $path))) (toString $value)) -}}
  {{- fail (printf "config.%s is %v, and %s is %v: say it there alone, since the pod has to agree" (join "." $path) (index $holder (last $path)) $name $value) -}}
{{- end -}}
{{- end -}}

{{/* Secrets in clear are refused: a ConfigMap is for everybody to read. */}}
{{- define "headgate.clear" -}}
{{- $by := "^(env|file):|^\\$\\{" -}}
{{- $says := "config.%s is a secret in clear, and would stand in a ConfigMap: give `env:NAME`, with NAME a key of existingSecret, or `file:/run/secrets/headgate/NAME`" -}}
{{- range $name, $provider := (default dict .providers) -}}
  {{- $provider = default dict $provider -}}
  {{- if and $provider.key (not (regexMatch $by (toString $provider.key))) -}}{{- fail (printf $says (printf "providers.%s.key" $name)) -}}{{- end -}}
  {{- range $number, $key := (default list $provider.keys) -}}
    {{- $text := kindIs "map" $key | ternary (get (kindIs "map" $key | ternary $key dict) "key") $key -}}
    {{- if and $text (not (regexMatch $by (toString $text))) -}}{{- fail (printf $says (printf "providers.%s.keys[%d]" $name $number)) -}}{{- end -}}
  {{- end -}}
  {{- range $field := list "secret_key" "session_token" -}}
    {{- $text := get (default dict $provider.aws) $field -}}
    {{- if and $text (not (regexMatch $by $text)) -}}{{- fail (printf $says (printf "providers.%s.aws.%s" $name $field)) -}}{{- end -}}
  {{- end -}}
{{- end -}}
{{- range $name, $key := (default dict (default dict .identities).keys) -}}
  {{- $key = default dict $key -}}
  {{- if and $key.secret (not (regexMatch $by $key.secret)) -}}{{- fail (printf $says (printf "identities.keys.%s.secret" $name)) -}}{{- end -}}
{{- end -}}
{{- $config := . -}}
{{- range $section := list "redis" "store" "ledger" -}}
  {{- if regexMatch "://[^/@]*:[^/@]*@" (toString (get (default dict (get $config $section)) "url")) -}}{{- fail (printf $says (printf "%s.url" $section)) -}}{{- end -}}
{{- end -}}
{{- end -}}

{{/* Nobody makes a key in a pod before it has started, and it does not start as long as everybody could call. */}}
{{- define "headgate.door" -}}
{{- $auth := dict -}}
{{- range .filters -}}{{- if hasKey . "auth" -}}{{- $auth = default dict .auth -}}{{- end -}}{{- end -}}
{{- $declared := or .store (default dict .identities).keys .callers $auth.keys -}}
{{- if not (or $declared (default dict .listener).open) -}}
{{- fail "config: there is nobody who may call, and pods do not start so. Declare callers' keys (config.identities.keys, each with `secret: env:NAME`), or give config.store.url, where they are made later, or config.callers; or say config.listener.open, if something in front of the gateway authenticates" -}}
{{- end -}}
{{- end -}}

{{/* What is served without a `config`: the demo provider, those whose keys are in existingSecret, and one caller's key. */}}
{{- define "headgate.first" -}}
{{- $values := .Values -}}
{{- tpl (.Files.Get "files/first.yaml") . -}}
{{- end -}}

{{/* "yes" if `config` takes something from the environment, and pods of a use that is on have nothing there. */}}
{{- define "headgate.unset" -}}
{{- $values := .Values -}}
{{- $found := false -}}
{{- range $use := list "edge" "extproc" -}}
{{- $pod := include "headgate.pod" (list $ $use) | fromYaml -}}
{{- if and (get $values $use).enabled (not (or $values.existingSecret $pod.extraEnv $pod.extraEnvFrom)) -}}{{- $found = true -}}{{- end -}}
{{- end -}}
{{- if and $found (regexMatch "(^|[^A-Za-z0-9_])env:[A-Za-z_]" (toYaml $values.config)) -}}yes{{- end -}}
{{- end -}}

{{/* Whether the configuration has a section; "yes" or nothing: (list . "redis"). One that nobody can see has it. */}}
{{- define "headgate.has" -}}
{{- $values := (index . 0).Values -}}
{{- if or $values.existingConfigMap (get $values.config (index . 1)) -}}yes{{- end -}}
{{- end -}}

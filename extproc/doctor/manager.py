"""Listeners and connection managers that have the gate: what they let in, what they take off, what they keep."""

from collections.abc import Iterator

from extproc.doctor.dump import Dump, Manager
from extproc.doctor.finding import Finding, breaks, weakens
from extproc.doctor.plain import Plain, dig, seconds, typed_within
from extproc.doctor.switched import switched_on
from extproc.envoy import names

_DEFAULT_BUFFER = 1024 * 1024
_LEAST_BUFFER = 64 * 1024 * 1024
"""What `extproc/envoy/listener.py` gives a listener."""
_DEFAULT_HEADERS = 60
_MANY = 3600.0
"""Seconds: a stream that lasts longer is none."""


def check_managers(dump: Dump) -> Iterator[Finding]:
    """Of each."""
    for manager in dump.attached:
        yield from _buffers(dump, manager)
        yield from _clocks(manager)
        yield from _identity(manager)
        yield from _clients(dump, manager)
        yield from _said(manager)


def _buffers(dump: Dump, manager: Manager) -> Iterator[Finding]:
    own = manager.listener.get("per_connection_buffer_limit_bytes", _DEFAULT_BUFFER)
    wanted = max(_LEAST_BUFFER, dump.limits.response_body)
    if dump.adapters and own < wanted:
        why = "Envoy may crash on long answers of models that have several targets, when a client reads slowly"
        yield breaks(manager.where, f"per_connection_buffer_limit_bytes is {own}", why, per_connection_buffer_limit_bytes=wanted)
    needed = dump.limits.request_body
    short = {
        host["name"]: room
        for gate in filter(dump.is_gate, manager.filters)
        for host, route in switched_on(manager, gate["name"])
        if (room := max(own, _kept(host, route))) < needed
    }
    for host, room in short.items():
        why = f"larger requests get Envoy's 413, though limits.request_body allows {needed}"
        yield breaks(f"{manager.where}, virtual host {host}", f"{room} bytes of a request are kept", why, request_body_buffer_limit=needed)


def _kept(host: Plain, route: Plain) -> int:
    """Of 64 bits, and so a text in JSON."""
    return int(route.get("request_body_buffer_limit") or host.get("request_body_buffer_limit") or 0)


def _clocks(manager: Manager) -> Iterator[Finding]:
    settings = manager.settings
    if limit := seconds(settings.get("request_timeout"), 0):
        why = "requests whose body takes longer to come are ended, long uploads too"
        yield weakens(manager.where, f"request_timeout is {limit:g} s", why, request_timeout="0s")
    limit = seconds(dig(settings, "common_http_protocol_options", "max_stream_duration"), 0)
    if 0 < limit < _MANY:
        why = "answers that take longer are broken off"
        yield breaks(manager.where, f"max_stream_duration is {limit:g} s", why, common_http_protocol_options={"max_stream_duration": None})
    if 0 < (limit := seconds(settings.get("stream_idle_timeout"), 300)) < 60:
        why = "requests that wait at the gate, or for a provider's first word, are ended"
        yield weakens(manager.where, f"stream_idle_timeout is {limit:g} s", why, stream_idle_timeout="300s")


def _identity(manager: Manager) -> Iterator[Finding]:
    settings = manager.settings
    if settings.get("generate_request_id") is False:
        why = "the ledger counts requests by their id: those without one are refused or lost"
        yield breaks(manager.where, "generate_request_id is off", why, generate_request_id=True)
    taken = [
        mutation
        for extension in typed_within(settings.get("early_header_mutation_extensions"), "HeaderMutation")
        for mutation in extension.get("mutations", ())
    ]
    removed = {one.get("remove") for one in taken}
    prefixes = {dig(one, "remove_on_match", "key_matcher", "prefix") for one in taken}
    if "x-request-id" not in removed and settings.get("preserve_external_request_id"):
        why = "callers choose the id by which requests are counted, and twice the same is counted once"
        yield breaks(manager.where, "callers' x-request-id is kept", why, preserve_external_request_id=False)
    elif "x-request-id" not in removed:
        why = "callers may choose the id by which requests are counted, where Envoy takes them for internal ones"
        yield weakens(manager.where, "callers' x-request-id is not taken off", why, early_header_mutation_extensions=_EARLY)
    if "x-envoy-" not in prefixes:
        why = "callers command time-outs and retries"
        yield weakens(manager.where, "callers' x-envoy-* headers are not taken off", why, early_header_mutation_extensions=_EARLY)
    if names.CLUSTER_HEADER not in removed:
        why = "only the gate may name a target"
        yield weakens(manager.where, f"callers' {names.CLUSTER_HEADER} is not taken off", why, early_header_mutation_extensions=_EARLY)
    if not settings.get("always_set_request_id_in_response"):
        why = "clients are not told the id by which a request is found in the ledger"
        yield weakens(manager.where, "always_set_request_id_in_response is off", why, always_set_request_id_in_response=True)


_EARLY = [
    {
        "name": "envoy.http.early_header_mutation.header_mutation",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
            "mutations": [
                {"remove": "x-request-id"},
                {"remove": names.CLUSTER_HEADER},
                {"remove_on_match": {"key_matcher": {"prefix": "x-envoy-", "ignore_case": True}}},
            ],
        },
    }
]


def _clients(dump: Dump, manager: Manager) -> Iterator[Finding]:
    settings = manager.settings
    if not settings.get("use_remote_address"):
        why = "the address that a client has is what it says of itself, and it may pass for an internal one"
        yield weakens(manager.where, "use_remote_address is off", why, use_remote_address=True)
    if hops := settings.get("xff_num_trusted_hops"):
        why = f"right where exactly {hops} proxies stand before this one; else clients choose the address that they seem to have"
        yield weakens(manager.where, f"xff_num_trusted_hops is {hops}", why, xff_num_trusted_hops=0)
    action = dig(settings, "common_http_protocol_options", "headers_with_underscores_action") or "ALLOW"
    if action == "ALLOW":
        why = "x_api_key may pass for x-api-key behind some proxies"
        mend = {"headers_with_underscores_action": "REJECT_REQUEST"}
        yield weakens(manager.where, "headers with underscores are let in", why, common_http_protocol_options=mend)
    if not settings.get("normalize_path"):
        why = "/v1/../x and its like reach routes and providers as they are"
        yield weakens(manager.where, "normalize_path is off", why, normalize_path=True)
    if (most := settings.get("max_request_headers_kb", _DEFAULT_HEADERS)) < dump.limits.request_headers:
        why = f"larger heads get Envoy's 431, though limits.request_headers allows {dump.limits.request_headers}"
        yield weakens(manager.where, f"max_request_headers_kb is {most}", why, max_request_headers_kb=dump.limits.request_headers)
    if not any(one.get("upgrade_type", "").lower() == "websocket" for one in settings.get("upgrade_configs", ())):
        why = "WebSockets, such as the Realtime API's, are refused"
        yield weakens(manager.where, "no upgrade to websocket is allowed", why, upgrade_configs=[{"upgrade_type": "websocket"}])


def _said(manager: Manager) -> Iterator[Finding]:
    if names.NAMESPACE not in str(manager.settings.get("access_log")):
        why = "there is no second witness: what a worker had under way when it was killed is not in the ledger"
        yield weakens(manager.where, "no access log holds what the gate says of a request", why)
    if not dig(manager.settings, "local_reply_config", "mappers"):
        why = "Envoy's own errors do not have the form that the client's SDK reads"
        yield weakens(manager.where, "local_reply_config is missing", why)

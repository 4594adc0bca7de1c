"""The settings of the gate's filter, and of the adapter's."""

from collections.abc import Iterator

from extproc.doctor.dump import Dump, Processor
from extproc.doctor.finding import Finding, breaks, weakens
from extproc.doctor.plain import dig, seconds
from extproc.envoy import names

_DEFAULT_PATIENCE = 0.2
_PATIENCE, _LONG_PATIENCE = 30, 3600
"""What `extproc/envoy/filters.py` gives the gate and the adapter, in seconds."""
_LEAST_PATIENCE = 1
_ATTRIBUTES = (names.CLUSTER_ATTRIBUTE, names.ATTEMPT_ATTRIBUTE, names.DETAILS_ATTRIBUTE)


def check_processors(dump: Dump) -> Iterator[Finding]:
    """Each setting of each filter."""
    for one in [*dump.gates, *dump.adapters]:
        for check in (_failing_open, _service, _patience, _modes, _mutations, _metadata, _attributes, _headers):
            yield from check(one)


def _failing_open(one: Processor) -> Iterator[Finding]:
    settings = one.settings
    if settings.get("failure_mode_allow"):
        yield breaks(
            one.where,
            "failure_mode_allow is on",
            "while no worker answers, requests go on that nobody has judged",
            failure_mode_allow=False,
        )
    if settings.get("observability_mode"):
        yield breaks(one.where, "observability_mode is on", "nothing that Headgate says is heard", observability_mode=False)
    if settings.get("disable_immediate_response"):
        yield breaks(
            one.where,
            "disable_immediate_response is on",
            "refusals and answers from the cache become errors",
            disable_immediate_response=False,
        )
    if not one.adapter and (settings.get("disable_clear_route_cache") or settings.get("route_cache_action") == "RETAIN"):
        yield breaks(
            one.where, "the route is not chosen again", "requests go nowhere: the gate names their targets", route_cache_action="DEFAULT"
        )


def _service(one: Processor) -> Iterator[Finding]:
    service = one.settings.get("grpc_service") or {}
    if not dig(service, "envoy_grpc"):
        yield weakens(
            one.where,
            "it does not ask by envoy_grpc",
            "health checks, breakers and retries of Envoy's clusters do not apply",
            grpc_service={"envoy_grpc": {"cluster_name": names.ADAPTER_CLUSTER if one.adapter else names.GATE_CLUSTER}},
        )
        return
    limit = seconds(service.get("timeout"), 0)
    if limit:
        yield breaks(
            one.where,
            f"grpc_service.timeout is {limit:g} s",
            "it counts for the whole of a request and its answer: whatever takes longer is broken off",
            grpc_service={"timeout": "0s"},
        )
    if "retry_policy" not in service:
        yield weakens(
            one.where,
            "grpc_service.retry_policy is missing",
            "while a worker starts again, requests get 500 instead of waiting for it (not the one of envoy_grpc, which does nothing)",
            grpc_service={
                "retry_policy": {
                    "retry_on": "connect-failure,refused-stream,unavailable,reset",
                    "num_retries": 40,
                    "retry_back_off": {"base_interval": "0.025s", "max_interval": "0.250s"},
                }
            },
        )


def _patience(one: Processor) -> Iterator[Finding]:
    wanted, told = (_LONG_PATIENCE if one.adapter else _PATIENCE), seconds(one.settings.get("message_timeout"), _DEFAULT_PATIENCE)
    if told >= wanted:
        return
    what, mend = f"message_timeout is {told:g} s", {"message_timeout": f"{wanted}s"}
    if one.adapter:
        yield breaks(one.where, what, "it waits for a provider's first words, and requests that take longer get 504", **mend)
    elif told < _LEAST_PATIENCE:
        yield breaks(one.where, what, "a worker that is busy for so long fails requests with 504", **mend)
    else:
        yield weakens(one.where, what, "requests that wait for another one's answer, or for a slot, get 504 after that", **mend)


def _modes(one: Processor) -> Iterator[Finding]:
    mode = one.settings.get("processing_mode") or {}
    if mode.get("request_header_mode") == "SKIP":
        yield breaks(
            one.where,
            "request headers are not sent",
            "nobody is known, and nothing judged",
            processing_mode={"request_header_mode": "SEND"},
        )
    if (body := mode.get("request_body_mode", "NONE")) != "BUFFERED":
        why = "bodies have to come whole: the model, and so the target, stands in them"
        yield breaks(one.where, f"request_body_mode is {body}", why, processing_mode={"request_body_mode": "BUFFERED"})
    if one.adapter:
        yield from _adapter_modes(one)
        return
    if not one.settings.get("allow_mode_override"):
        yield breaks(
            one.where, "allow_mode_override is off", "answers are not seen, so neither metered nor translated", allow_mode_override=True
        )
    if one.settings.get("allowed_override_modes"):
        yield breaks(
            one.where,
            "allowed_override_modes leaves out modes",
            "what is not on the list is dropped without a word, and the gate asks for several",
            allowed_override_modes=[],
        )
    if mode.get("response_header_mode", "DEFAULT") != "SKIP":
        yield weakens(
            one.where,
            "response headers are sent though nobody has asked for them",
            "Envoy's replies to what is no request (400, 431) may get lost",
            processing_mode={"response_header_mode": "SKIP"},
        )
    if (body := mode.get("response_body_mode", "NONE")) != "NONE":
        why = "the gate asks for what it has to see of an answer; more is held back, or refused when it is large"
        yield weakens(one.where, f"response_body_mode is {body}", why, processing_mode={"response_body_mode": "NONE"})


def _adapter_modes(one: Processor) -> Iterator[Finding]:
    mode = one.settings.get("processing_mode") or {}
    if mode.get("response_header_mode") == "SKIP":
        yield breaks(
            one.where, "response headers are not sent", "no answer is translated", processing_mode={"response_header_mode": "SEND"}
        )
    if (body := mode.get("response_body_mode", "NONE")) != "STREAMED":
        why = "answers are translated, and what dies is tried again, while they stream; only so a fast provider is held back"
        yield breaks(one.where, f"response_body_mode is {body}", why, processing_mode={"response_body_mode": "STREAMED"})
    if not one.settings.get("send_body_without_waiting_for_header_response"):
        yield breaks(
            one.where,
            "send_body_without_waiting_for_header_response is off",
            "the adapter holds an answer's head back until its first event, which never comes then",
            send_body_without_waiting_for_header_response=True,
        )


def _mutations(one: Processor) -> Iterator[Finding]:
    rules = one.settings.get("mutation_rules") or {}
    if not rules.get("allow_all_routing") and not one.by_header:
        yield breaks(
            one.where,
            "mutation_rules.allow_all_routing is off",
            "the host is not set, so a provider is asked for whatever host the client had asked for",
            mutation_rules={"allow_all_routing": True},
        )
    if not rules.get("allow_envoy"):
        yield weakens(
            one.where,
            "mutation_rules.allow_envoy is off",
            "time-outs and retries, which are told by x-envoy-* headers, are those of the routes",
            mutation_rules={"allow_envoy": True},
        )
    for name in ("disallow_all", "disallow_system", "disallow_expression", "disallow_is_error"):
        if rules.get(name):
            yield breaks(
                one.where, f"mutation_rules.{name} is set", "headers that every request needs are not set", mutation_rules={name: None}
            )


def _metadata(one: Processor) -> Iterator[Finding]:
    options = one.settings.get("metadata_options") or {}
    wanted = {names.NAMESPACE, names.TARGETS_NAMESPACE} | ({names.USE_NAMESPACE} if one.adapter else set())
    if missing := wanted.difference(dig(options, "receiving_namespaces", "untyped") or ()):
        level = weakens if one.by_header else breaks
        why = "requests with several targets go nowhere" if one.by_header else "routes are chosen, targets named and use is told by it"
        mend = {"receiving_namespaces": {"untyped": sorted(wanted)}}
        yield level(one.where, f"metadata is not taken: {', '.join(sorted(missing))}", why, metadata_options=mend)
    read = names.NAMESPACE if one.adapter else names.USE_NAMESPACE
    if read not in (dig(options, "forwarding_namespaces", "untyped") or ()):
        level = breaks if one.adapter else weakens
        why = "the adapter does not learn what is asked" if one.adapter else "use of models that have several targets is not metered"
        yield level(one.where, f"metadata is not shown: {read}", why, metadata_options={"forwarding_namespaces": {"untyped": [read]}})


def _attributes(one: Processor) -> Iterator[Finding]:
    key, wanted = ("request_attributes", _ATTRIBUTES[:2]) if one.adapter else ("response_attributes", _ATTRIBUTES)
    if one.by_header:
        # Of a single target the cluster tells nothing new.
        wanted = _ATTRIBUTES[1:]
    if missing := [name for name in wanted if name not in one.settings.get(key, ())]:
        level = weakens if one.by_header else breaks
        why = "which attempt it was, and whether Envoy or a provider has answered, is not known"
        yield level(one.where, f"{key} leaves out {', '.join(missing)}", why, **{key: list(wanted)})


def _headers(one: Processor) -> Iterator[Finding]:
    if one.settings.get("forward_rules"):
        why = "headers that are kept from Headgate it can neither judge nor translate"
        yield weakens(one.where, "forward_rules leaves out headers", why, forward_rules={})
    if (most := dig(one.settings, "grpc_service", "envoy_grpc", "max_receive_message_length")) is not None:
        why = "a body that Headgate has translated comes as one message"
        yield weakens(
            one.where, f"max_receive_message_length is {most}", why, grpc_service={"envoy_grpc": {"max_receive_message_length": None}}
        )

"""Each setting that breaks or weakens us, at a real Envoy: one listener for each, all of them at one process."""

import copy
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from extproc.config.model import Config, Limits, Model, Provider
from extproc.doctor.admin import ask
from extproc.doctor.examine import examine
from extproc.doctor.finding import Finding
from extproc.envoy.compile import compile_edge
from extproc.envoy.egress import extensions, inside
from extproc.envoy.places import below
from tests.doctor.running import running

Plain = dict[str, Any]
TYPE = "type.googleapis.com/envoy.extensions.filters.http."
ROUTER = "envoy.filters.http.router"
CONFIG = Config(
    providers={"one": Provider(dialect="openai", base_url="https://10.0.0.7:8443/v1", tls_server_name="lab.example")},
    models=(Model(name="*", targets=("one",)),),
)


Change = Callable[["Chain"], object]


class Chain:
    """One listener's parts, to be broken."""

    def __init__(self, listener: Plain) -> None:
        self.listener = listener
        self.manager: Plain = listener["filter_chains"][0]["filters"][0]["typed_config"]
        self.filters: list[Plain] = self.manager["http_filters"]
        self.gate = self._filter("headgate.gate")
        self.adapter: Plain = self._filter(ROUTER)["upstream_http_filters"][0]["typed_config"]
        (self.host,) = self.manager["route_config"]["virtual_hosts"]

    def _filter(self, name: str) -> Plain:
        settings: Plain = next(one for one in self.filters if one["name"] == name)["typed_config"]
        return settings

    def at(self, name: str) -> int:
        """Where a filter stands."""
        return next(at for at, one in enumerate(self.filters) if one["name"] == name)

    def insert(self, before: str, name: str, **typed: Any) -> None:
        """One more filter."""
        self.filters.insert(self.at(before), {"name": name, "typed_config": typed})

    def route(self, **fields: Any) -> None:
        """Fields of the action of all routes."""
        for one in self.host["routes"]:
            one["route"] |= fields


def gate(**fields: Any) -> Change:
    return lambda chain: chain.gate.update(fields)


def adapter(**fields: Any) -> Change:
    return lambda chain: chain.adapter.update(fields)


def without(*names: str) -> Change:
    """The gate without fields."""
    return lambda chain: [chain.gate.pop(name) for name in names]


def mode(**fields: str) -> Change:
    return lambda chain: chain.gate["processing_mode"].update(fields)


def adapter_mode(**fields: str) -> Change:
    return lambda chain: chain.adapter["processing_mode"].update(fields)


def manager(**fields: Any) -> Change:
    return lambda chain: chain.manager.update(fields)


def lacking(*names: str) -> Change:
    """The connection manager without fields."""
    return lambda chain: [chain.manager.pop(name) for name in names]


def listener(**fields: Any) -> Change:
    return lambda chain: chain.listener.update(fields)


def route(**fields: Any) -> Change:
    return lambda chain: chain.route(**fields)


def inserted(before: str, name: str, **typed: Any) -> Change:
    return lambda chain: chain.insert(before, name, **typed)


def rules(chain: Chain) -> None:
    chain.gate["mutation_rules"] = {"allow_envoy": True, "allow_all_routing": True, "disallow_is_error": True}


def two_gates(chain: Chain) -> None:
    again = copy.deepcopy(chain.filters[chain.at("headgate.gate")])
    chain.filters.insert(chain.at(ROUTER), {**again, "name": "headgate.again"})


def no_gate(chain: Chain) -> None:
    chain.filters.pop(chain.at("headgate.gate"))
    for one in chain.host["routes"]:
        one.pop("typed_per_filter_config", None)


def off(chain: Chain) -> None:
    chain.filters[chain.at("headgate.gate")]["disabled"] = True
    for one in chain.host["routes"]:
        one.pop("typed_per_filter_config", None)


def off_for_ours(chain: Chain) -> None:
    off(chain)
    nothing = {"name": "nothing", "match": {"prefix": "/"}, "direct_response": {"status": 200}}
    override = {"@type": f"{TYPE}ext_proc.v3.ExtProcPerRoute", "overrides": {}}
    theirs = {"name": "theirs", "domains": ["theirs"], "routes": [nothing], "typed_per_filter_config": {"headgate.gate": override}}
    chain.manager["route_config"]["virtual_hosts"].append({**theirs, "request_body_buffer_limit": 1 << 30})


def untrailed(chain: Chain) -> None:
    chain.filters.pop(chain.at("headgate.trailers"))


def small_bodies(chain: Chain) -> None:
    chain.listener["per_connection_buffer_limit_bytes"] = 1 << 20
    chain.host.pop("request_body_buffer_limit")


def served(chain: Chain, **fields: Any) -> None:
    chain.gate["grpc_service"] |= fields


def asking(cluster: str) -> Change:
    return lambda chain: served(chain, envoy_grpc={"cluster_name": cluster})


def retried(chain: Chain) -> None:
    chain.route(retry_policy={"retry_on": "5xx,connect-failure", "per_try_timeout": "5s"})


def open_route(chain: Chain) -> None:
    override = {"@type": f"{TYPE}ext_proc.v3.ExtProcPerRoute", "overrides": {"failure_mode_allow": True}}
    chain.host["routes"][-2]["typed_per_filter_config"] = {"headgate.gate": override}


def patience(seconds: float) -> Change:
    return gate(message_timeout=f"{seconds:g}s")


PACKED = {
    "compressor_library": {
        "name": "gzip",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.compression.gzip.compressor.v3.Gzip"},
    }
}
EVENTS = {"response_direction_config": {"common_config": {"content_type": ["text/event-stream"]}}}
JUDGE = {"@type": f"{TYPE}jwt_authn.v3.JwtAuthentication"}
LUA = {"@type": f"{TYPE}lua.v3.Lua", "default_source_code": {"inline_string": "function envoy_on_request(handle) end"}}
SHORT = {"message_timeout": "30s"}

CASES: dict[str, tuple[Change, list[str]]] = {
    "fine": (lambda chain: None, []),
    "open": (gate(failure_mode_allow=True), ["breaks: failure_mode_allow is on"]),
    "watching": (gate(observability_mode=True), ["breaks: observability_mode is on"]),
    "mute": (gate(disable_immediate_response=True), ["breaks: disable_immediate_response is on"]),
    "retained": (gate(route_cache_action="RETAIN"), ["breaks: the route is not chosen again"]),
    "stream-timeout": (lambda chain: served(chain, timeout="10s"), ["breaks: grpc_service.timeout is 10 s"]),
    "unbridged": (lambda chain: chain.gate["grpc_service"].pop("retry_policy"), ["weakens: grpc_service.retry_policy is missing"]),
    "by-default": (without("message_timeout"), ["breaks: message_timeout is 0.2 s"]),
    "impatient": (patience(5), ["weakens: message_timeout is 5 s"]),
    "headless": (mode(request_header_mode="SKIP"), ["breaks: request headers are not sent"]),
    "bodiless": (mode(request_body_mode="NONE"), ["breaks: request_body_mode is NONE"]),
    "answered": (mode(response_header_mode="SEND"), ["weakens: response headers are sent though nobody has asked for them"]),
    "streamed": (mode(response_body_mode="STREAMED"), ["weakens: response_body_mode is STREAMED"]),
    "fixed-mode": (gate(allow_mode_override=False), ["breaks: allow_mode_override is off"]),
    "some-modes": (gate(allowed_override_modes=[{"response_header_mode": "SEND"}]), ["breaks: allowed_override_modes leaves out modes"]),
    "no-rules": (
        without("mutation_rules"),
        ["breaks: mutation_rules.allow_all_routing is off", "weakens: mutation_rules.allow_envoy is off"],
    ),
    "strict-rules": (rules, ["breaks: mutation_rules.disallow_is_error is set"]),
    "no-metadata": (
        without("metadata_options"),
        ["breaks: metadata is not taken: headgate, headgate.targets", "weakens: metadata is not shown: headgate.use"],
    ),
    "no-attributes": (
        without("response_attributes"),
        ["breaks: response_attributes leaves out xds.cluster_name, upstream.request_attempt_count, response.code_details"],
    ),
    "hidden": (gate(forward_rules={"allowed_headers": {"patterns": [{"exact": "host"}]}}), ["weakens: forward_rules leaves out headers"]),
    "adapter-open": (adapter(failure_mode_allow=True), ["breaks: failure_mode_allow is on"]),
    "adapter-impatient": (adapter(**SHORT), ["breaks: message_timeout is 30 s"]),
    "adapter-blind": (adapter_mode(response_header_mode="SKIP"), ["breaks: response headers are not sent"]),
    "adapter-buffered": (adapter_mode(response_body_mode="BUFFERED"), ["breaks: response_body_mode is BUFFERED"]),
    "adapter-waits": (
        adapter(send_body_without_waiting_for_header_response=False),
        ["breaks: send_body_without_waiting_for_header_response is off"],
    ),
    "two": (two_gates, ["breaks: 2 gates: headgate.gate, headgate.again"]),
    "off": (off, ["breaks: headgate.gate is off everywhere"]),
    "off-for-ours": (off_for_ours, ["breaks: the gate is off"]),
    "untrailed": (untrailed, ["weakens: the filter headgate.trailers is missing"]),
    "judged-behind": (inserted(ROUTER, "jwt", **JUDGE), ["breaks: the filter jwt stands behind the gate"]),
    "judged-before": (inserted("headgate.gate", "jwt", **JUDGE), []),
    "packed-behind": (
        inserted(ROUTER, "gzip", **{"@type": f"{TYPE}compressor.v3.Compressor"}, **PACKED),
        ["breaks: the filter gzip stands behind the gate"],
    ),
    "packed-before": (inserted("headgate.gate", "gzip", **{"@type": f"{TYPE}compressor.v3.Compressor"}, **PACKED), []),
    "packed-events": (
        inserted("headgate.gate", "gzip", **{"@type": f"{TYPE}compressor.v3.Compressor"}, **PACKED, **EVENTS),
        ["breaks: the filter gzip packs text/event-stream"],
    ),
    "buffer": (
        inserted("headgate.gate", "buffer", **{"@type": f"{TYPE}buffer.v3.Buffer"}, max_request_bytes=1000),
        ["weakens: the filter buffer takes no more than 1000 bytes"],
    ),
    "lua": (inserted(ROUTER, "lua", **LUA), ["weakens: the filter lua stands behind the gate"]),
    "small-buffer": (listener(per_connection_buffer_limit_bytes=32768), ["breaks: per_connection_buffer_limit_bytes is 32768"]),
    "small-bodies": (
        small_bodies,
        ["breaks: per_connection_buffer_limit_bytes is 1048576", "breaks: 1048576 bytes of a request are kept"],
    ),
    "request-timeout": (manager(request_timeout="60s"), ["weakens: request_timeout is 60 s"]),
    "stream-duration": (
        lambda chain: chain.manager["common_http_protocol_options"].update(max_stream_duration="60s"),
        ["breaks: max_stream_duration is 60 s"],
    ),
    "idle": (manager(stream_idle_timeout="5s"), ["weakens: stream_idle_timeout is 5 s"]),
    "no-ids": (manager(generate_request_id=False), ["breaks: generate_request_id is off"]),
    "callers-ids": (
        lambda chain: chain.manager["early_header_mutation_extensions"][0]["typed_config"]["mutations"].pop(0),
        ["weakens: callers' x-request-id is not taken off"],
    ),
    "callers-headers": (
        lacking("early_header_mutation_extensions"),
        [
            "weakens: callers' x-request-id is not taken off",
            "weakens: callers' x-envoy-* headers are not taken off",
            "weakens: callers' x-headgate-cluster is not taken off",
        ],
    ),
    "no-id-told": (lacking("always_set_request_id_in_response"), ["weakens: always_set_request_id_in_response is off"]),
    "addresses": (lacking("use_remote_address"), ["weakens: use_remote_address is off"]),
    "hops": (manager(xff_num_trusted_hops=2), ["weakens: xff_num_trusted_hops is 2"]),
    "underscores": (lacking("common_http_protocol_options"), ["weakens: headers with underscores are let in"]),
    "paths": (manager(normalize_path=False), ["weakens: normalize_path is off"]),
    "small-heads": (manager(max_request_headers_kb=8), ["weakens: max_request_headers_kb is 8"]),
    "no-websockets": (lacking("upgrade_configs"), ["weakens: no upgrade to websocket is allowed"]),
    "unlogged": (lacking("access_log"), ["weakens: no access log holds what the gate says of a request"]),
    "bare-errors": (lacking("local_reply_config"), ["weakens: local_reply_config is missing"]),
    "fifteen": (
        lambda chain: [one["route"].pop("timeout") for one in chain.host["routes"]],
        ["breaks: timeout is 15 s, by default"],
    ),
    "minute": (route(timeout="60s"), ["breaks: timeout is 60 s"]),
    "duration": (route(max_stream_duration={"max_stream_duration": "60s"}), ["breaks: max_stream_duration is 60 s"]),
    "retried": (retried, ["weakens: retry_on has 5xx", "weakens: per_try_timeout is 5 s"]),
    "hedged": (route(hedge_policy={"hedge_on_per_try_timeout": True}), ["breaks: hedge_policy is set"]),
    "open-route": (open_route, ["breaks: failure_mode_allow is on for this route"]),
    "straight": (
        lambda chain: chain.host["routes"][-1]["route"].update(cluster="provider_one"),
        ["weakens: it leads to provider_one, whatever the gate says"],
    ),
    "nobody": (
        asking("headgate_nobody"),
        ["breaks: its cluster headgate_nobody does not exist"],
    ),
    "google": (
        lambda chain: served(chain, envoy_grpc=None, google_grpc={"target_uri": "127.0.0.1:1", "stat_prefix": "it"}),
        ["weakens: it does not ask by envoy_grpc"],
    ),
}


def broken_clusters(clusters: list[Plain]) -> Iterator[Plain]:
    """Clusters of the gate and of providers with one fault each."""
    ours = next(one for one in clusters if one["name"] == "headgate_gate")
    theirs = next(one for one in clusters if one["name"] == "provider_one")
    for name, change in OF_WORKERS.items():
        one = {**copy.deepcopy(ours), "name": f"headgate_{name}"}
        one["load_assignment"]["cluster_name"] = one["name"]
        change(one)
        yield one
    for name, change in OF_PROVIDERS.items():
        one = {**copy.deepcopy(theirs), "name": f"provider_{name}"}
        one["load_assignment"]["cluster_name"] = one["name"]
        change(one)
        yield one


def far(one: Plain) -> None:
    address = {"socket_address": {"address": "10.0.0.1", "port_value": 50051}}
    one["load_assignment"]["endpoints"][0]["lb_endpoints"] = [{"endpoint": {"address": address}}]


def unpinged(one: Plain) -> None:
    (options,) = one["typed_extension_protocol_options"].values()
    options["explicit_http_config"]["http2_protocol_options"].pop("connection_keepalive")


def authority(one: Plain) -> None:
    """As with `ca_file`."""
    common = one["transport_socket"]["typed_config"]["common_tls_context"]
    context = common.pop("validation_context")
    context.pop("trusted_ca")
    path = {"path_config_source": {"path": "/dev/null"}}
    secret = {"name": "authority", "sds_config": path}
    common["combined_validation_context"] = {"default_validation_context": context, "validation_context_sds_secret_config": secret}


OF_WORKERS: dict[str, Callable[[Plain], Any]] = {
    # With a health check of gRPC, Envoy itself would refuse it.
    "http1": lambda one: (one.pop("typed_extension_protocol_options"), one.pop("health_checks")),
    "unpinged": unpinged,
    "unchecked": lambda one: one.pop("health_checks"),
    "breakers": lambda one: one.pop("circuit_breakers"),
    "far": far,
}
OF_PROVIDERS: dict[str, Callable[[Plain], Any]] = {
    "breakers": lambda one: one.pop("circuit_breakers"),
    "anybody": lambda one: one["transport_socket"]["typed_config"]["common_tls_context"].pop("validation_context"),
    "any-name": lambda one: one["transport_socket"]["typed_config"]["common_tls_context"]["validation_context"].pop(
        "match_typed_subject_alt_names"
    ),
    # Without TLS there is no ALPN, which Envoy would miss.
    "in-clear-by-a-proxy": lambda one: (one.update(transport_socket=inside(None)), one.pop("typed_extension_protocol_options")),
    "by-a-proxy": lambda one: one.update(transport_socket=inside(one["transport_socket"])),
    "anybody-by-a-proxy": lambda one: (OF_PROVIDERS["anybody"](one), OF_PROVIDERS["by-a-proxy"](one)),
    "authority": authority,
}
ROOM = "weakens: circuit breakers: max_connections 1024, max_pending_requests 1024, max_requests 1024, max_retries 3"
OF_CLUSTERS = {
    "headgate_http1": ["breaks: it does not speak HTTP/2", "weakens: health_checks are missing"],
    "headgate_unpinged": ["weakens: connection_keepalive is missing"],
    "headgate_unchecked": ["weakens: health_checks are missing"],
    "headgate_breakers": [ROOM],
    "headgate_far": ["weakens: no TLS to 10.0.0.1"],
    "provider_breakers": [ROOM],
    "provider_anybody": ["breaks: its certificate is not checked"],
    "provider_any-name": ["breaks: its certificate is not checked"],
    "provider_in-clear-by-a-proxy": [],
    "provider_by-a-proxy": [],
    "provider_anybody-by-a-proxy": ["breaks: its certificate is not checked"],
    "provider_authority": [],
    "provider_one": [],
    "headgate_gate": [],
    "headgate_adapter": [],
}


def broken(folder: Path) -> Plain:
    """All of them in one bootstrap."""
    bootstrap = compile_edge(CONFIG, below(str(folder)))
    bootstrap["bootstrap_extensions"] = extensions()
    resources = bootstrap["static_resources"]
    (sound,) = resources["listeners"]
    # The first of them will do, and is much less to copy and to read.
    mappers = Chain(sound).manager["local_reply_config"]["mappers"]
    del mappers[1:]
    resources["clusters"] += broken_clusters(resources["clusters"])
    asked: dict[str, tuple[Change, list[str]]] = {f"asks-{name}": (asking(f"headgate_{name}"), []) for name in OF_WORKERS}
    changes: dict[str, tuple[Change, list[str]]] = {**CASES, **asked}
    resources["listeners"] = []
    for at, (name, (change, _)) in enumerate(changes.items()):
        one = {**copy.deepcopy(sound), "name": name, "address": {"pipe": {"path": f"{folder}/{at}.sock"}}}
        one.pop("connection_balance_config")
        change(Chain(one))
        resources["listeners"].append(one)
    return bootstrap


@pytest.fixture(scope="module")
def findings() -> Iterator[list[Finding]]:
    with tempfile.TemporaryDirectory(prefix="hg-") as folder, running(Path(folder), broken(Path(folder))) as url:
        yield examine(ask(url, Limits()))


def said(findings: list[Finding], kind: str, name: str) -> list[str]:
    """Of one listener or cluster, whichever filter or route it is about."""
    return [f"{one.level}: {one.what}" for one in findings if one.where.partition(",")[0] == f"{kind} {name}"]


@pytest.mark.parametrize("name", CASES)
def test_a_listener(findings: list[Finding], name: str) -> None:
    assert sorted(said(findings, "listener", name)) == sorted(CASES[name][1])


@pytest.mark.parametrize("name", OF_CLUSTERS)
def test_a_cluster(findings: list[Finding], name: str) -> None:
    assert said(findings, "cluster", name) == OF_CLUSTERS[name]


def test_there_is_nothing_else(findings: list[Finding]) -> None:
    assert {one.where.partition(" ")[0] for one in findings} == {"listener", "cluster"}


def test_what_breaks_comes_first(findings: list[Finding]) -> None:
    assert [one.level for one in findings] == sorted(one.level for one in findings)

from typing import Any

import pytest

from extproc.config.listeners import ExtProc, ExtProcTls
from extproc.config.model import Config, Limits, Model, Provider
from extproc.envoy.compile import compile_attach, compile_edge, compile_sidecar
from extproc.envoy.forms import render
from extproc.envoy.places import Places
from extproc.envoy.workers import network_clusters, worker_clusters
from extproc.transport.http2.limits import Limits as Windows

PROTOCOL = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
MUTUAL = ExtProcTls(certificate="/their/tls.crt", key="/their/tls.key", client_ca="/their/ca.crt")


def config(**more: Any) -> Config:
    return Config(providers={"it": Provider(dialect="openai", base_url="demo:")}, models=(Model(name="*", targets=("it",)),), **more)


def distant(**more: Any) -> list[dict[str, Any]]:
    network = ExtProc(**more)
    return network_clusters(config(ext_proc=network), network, Places())


def addresses(found: dict[str, Any]) -> list[Any]:
    return [one["endpoint"]["address"] for one in found["load_assignment"]["endpoints"][0]["lb_endpoints"]]


def http2(found: dict[str, Any]) -> dict[str, Any]:
    options: dict[str, Any] = found["typed_extension_protocol_options"][PROTOCOL]["explicit_http_config"]["http2_protocol_options"]
    return options


def test_an_endpoint_a_worker() -> None:
    gate, adapter = worker_clusters(config(workers=3), Places())
    assert addresses(gate) == [{"pipe": {"path": f"/run/headgate/worker-{worker}.gate.sock"}} for worker in range(3)]
    assert addresses(adapter) == [{"pipe": {"path": f"/run/headgate/worker-{worker}.adapter.sock"}} for worker in range(3)]


def test_breakers_leave_room_for_every_stream_and_retry() -> None:
    few = Limits(concurrent_requests=7)
    for found in [*worker_clusters(config(limits=few), Places()), *network_clusters(config(limits=few), ExtProc(), Places())]:
        assert found["circuit_breakers"]["thresholds"] == [
            {"max_connections": 7, "max_pending_requests": 7, "max_requests": 7, "max_retries": 7}
        ]


@pytest.mark.parametrize("found", [*worker_clusters(config(), Places()), *distant()])
def test_a_worker_that_hangs_is_left_out_and_lets_go_of_its_requests(found: dict[str, Any]) -> None:
    (check,) = found["health_checks"]
    assert check["grpc_health_check"] == {}
    # Envoy looks once a minute where there was no request yet, unless told otherwise.
    assert {"no_traffic_interval", "no_traffic_healthy_interval", "unhealthy_interval"} <= check.keys()
    assert found["common_lb_config"] == {"healthy_panic_threshold": {"value": 1}}
    assert http2(found)["connection_keepalive"] == {"interval": "5s", "timeout": "15s"}


def test_both_ends_have_the_same_windows() -> None:
    for found in [*worker_clusters(config(), Places()), *distant()]:
        assert http2(found)["initial_stream_window_size"] == Windows().window
        assert http2(found)["initial_connection_window_size"] == Windows().connection_window


def test_errors_of_requests_are_no_failures_of_a_worker() -> None:
    for found in worker_clusters(config(), Places()):
        assert found["outlier_detection"]["split_external_local_origin_errors"]
        assert found["outlier_detection"]["enforcing_consecutive_5xx"] == 0


@pytest.mark.parametrize(
    ("network", "kind", "host"),
    [
        ({"address": "10.0.0.7"}, "STATIC", "10.0.0.7"),
        ({"address": "::1"}, "STATIC", "::1"),
        ({"address": "0.0.0.0", "host": "10.0.0.8"}, "STATIC", "10.0.0.8"),
        ({"address": "0.0.0.0", "host": "headgate.ai.svc"}, "STRICT_DNS", "headgate.ai.svc"),
    ],
)
def test_where_another_hosts_envoy_asks(network: dict[str, str], kind: str, host: str) -> None:
    gate, adapter = distant(**network, gate_port=7001, adapter_port=7002)
    assert [gate["type"], adapter["type"]] == [kind, kind]
    assert addresses(gate) == [{"socket_address": {"address": host, "port_value": 7001}}]
    assert addresses(adapter) == [{"socket_address": {"address": host, "port_value": 7002}}]


def test_certificates_on_a_network() -> None:
    for found in distant(host="headgate.ai.svc", tls=MUTUAL):
        socket = found["transport_socket"]["typed_config"]
        assert socket["sni"] == "headgate.ai.svc"
        common = socket["common_tls_context"]
        assert common["alpn_protocols"] == ["h2"]
        (subject,) = common["validation_context"]["match_typed_subject_alt_names"]
        assert subject == {"san_type": "DNS", "matcher": {"exact": "headgate.ai.svc"}}
        (shown,) = common["tls_certificates"]
        assert shown["private_key"] == {"filename": Places().client_key}
        # Those are the paths of Envoy's host; ours are ours.
        assert "/their/" not in str(found)


def test_tls_without_client_certificates() -> None:
    for found in distant(tls=ExtProcTls(certificate="c", key="k")):
        assert "tls_certificates" not in found["transport_socket"]["typed_config"]["common_tls_context"]


def test_without_tls() -> None:
    assert not [found for found in distant() if "transport_socket" in found]


def test_only_an_envoy_of_somebody_else_asks_by_the_network() -> None:
    both = config(ext_proc=ExtProc())
    for compiled in (compile_edge, compile_sidecar):
        clusters = compiled(both, Places())["static_resources"]["clusters"]
        assert "pipe" in str(addresses(clusters[0]))
    clusters = compile_attach(both, Places())["clusters"]
    assert [addresses(found)[0]["socket_address"]["port_value"] for found in clusters[:2]] == [50051, 50052]


def test_the_parts_say_which_host_they_need() -> None:
    text = render("attach", config(ext_proc=ExtProc(host="headgate.ai.svc", tls=MUTUAL)), Places())
    assert "`headgate serve` on the host headgate.ai.svc" in text
    assert "on the same machine" not in text

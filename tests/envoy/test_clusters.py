from typing import Any

import pytest

from extproc.config.model import Config, Model, Provider
from extproc.config.timeouts import Timeouts
from extproc.envoy.clusters import provider_clusters
from extproc.envoy.places import Places

PROTOCOL = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def config(base_url: str = "demo:", **more: Any) -> Config:
    own = {name: more.pop(name) for name in ("tls_server_name", "http2") if name in more}
    provider = Provider(dialect="openai", base_url=base_url, timeouts=Timeouts(connect=2), **own)
    return Config(providers={"it": provider}, models=(Model(name="*", targets=("it",)),), **more)


def cluster(base_url: str, **more: Any) -> dict[str, Any]:
    """The one with the provider's addresses."""
    found = {one["name"]: one for one in provider_clusters(config(base_url, **more), Places())}
    return found.get("provider_it~dns", found["provider_it"])


def address(found: dict[str, Any]) -> dict[str, Any]:
    got: dict[str, Any] = found["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]
    return got


def tls(found: dict[str, Any]) -> dict[str, Any]:
    got: dict[str, Any] = found["transport_socket"]["typed_config"]
    return got


def subjects(found: dict[str, Any]) -> list[dict[str, Any]]:
    got: list[dict[str, Any]] = tls(found)["common_tls_context"]["validation_context"]["match_typed_subject_alt_names"]
    return got


@pytest.mark.parametrize(
    ("base_url", "kind", "host", "port"),
    [
        ("https://api.example/v1", "LOGICAL_DNS", "api.example", 443),
        ("http://api.example/v1", "LOGICAL_DNS", "api.example", 80),
        ("http://localhost:11434/v1", "LOGICAL_DNS", "localhost", 11434),
        ("http://127.0.0.1:8000", "STATIC", "127.0.0.1", 8000),
        ("http://[::1]:8000", "STATIC", "::1", 8000),
    ],
)
def test_where_a_provider_is(base_url: str, kind: str, host: str, port: int) -> None:
    found = cluster(base_url)
    assert found["name"] == ("provider_it" if kind == "STATIC" else "provider_it~dns")
    assert found.get("type", "STATIC") == kind
    assert address(found) == {"socket_address": {"address": host, "port_value": port}}
    assert found["connect_timeout"] == "2s"


def test_a_name_without_an_address_leads_where_nobody_is() -> None:
    named, _, nobody = provider_clusters(config("https://api.example"), Places())
    assert named["name"] == "provider_it"
    assert named["cluster_type"]["typed_config"]["clusters"] == ["provider_it~dns", nobody["name"]]
    assert address(nobody) == {"pipe": {"path": "/run/headgate/no-address.sock"}}
    assert named["circuit_breakers"] == nobody["circuit_breakers"], "Envoy counts retries at the former, connections at the latter"


def test_demo_is_on_a_socket() -> None:
    found = cluster("demo:")
    assert address(found) == {"pipe": {"path": "/run/headgate/origin.sock"}}
    assert "transport_socket" not in found


def test_plain_http_has_no_tls() -> None:
    assert "transport_socket" not in cluster("http://api.example")


@pytest.mark.parametrize(("http2", "asked"), [(True, "auto_config"), (False, "explicit_http_config")])
def test_http2_where_it_is_not_refused(http2: bool, asked: str) -> None:
    options = cluster("https://api.example", http2=http2)["typed_extension_protocol_options"][PROTOCOL]
    assert asked in options
    assert http2 == ("http2_protocol_options" in options[asked])


def test_certificate_is_checked_for_the_host() -> None:
    found = cluster("https://api.example")
    assert tls(found)["sni"] == "api.example"
    assert subjects(found) == [{"san_type": "DNS", "matcher": {"exact": "api.example"}}]
    assert tls(found)["common_tls_context"]["validation_context"]["trusted_ca"] == {"filename": Places().ca_file}


def test_certificate_of_another_name() -> None:
    found = cluster("https://10.0.0.7", tls_server_name="lab.example")
    assert tls(found)["sni"] == "lab.example"
    assert subjects(found) == [{"san_type": "DNS", "matcher": {"exact": "lab.example"}}]


def test_certificate_of_an_address() -> None:
    found = cluster("https://10.0.0.7")
    assert "sni" not in tls(found)
    assert subjects(found) == [{"san_type": "IP_ADDRESS", "matcher": {"exact": "10.0.0.7"}}]


@pytest.mark.parametrize("base_url", ["demo:", "https://api.example"])
def test_adapter_is_inside_the_cluster_that_routes_name_only_when_attached(base_url: str) -> None:
    plain = provider_clusters(config(base_url), Places())
    assert not [one for one in plain if "http_filters" in one.get("typed_extension_protocol_options", {}).get(PROTOCOL, {})]
    carrying, *behind = provider_clusters(config(base_url), Places(), adapter=True)
    assert not [one for one in behind if "http_filters" in one.get("typed_extension_protocol_options", {}).get(PROTOCOL, {})]
    filters = carrying["typed_extension_protocol_options"][PROTOCOL]["http_filters"]
    assert [one["name"] for one in filters] == ["headgate.adapter", "envoy.filters.http.upstream_codec"]

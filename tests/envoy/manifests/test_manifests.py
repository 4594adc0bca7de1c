"""The manifests in k8s/attach, and what other configurations make of them."""

from typing import Any

import msgspec
import pytest
import yaml

from extproc.config.fragments import Fragments
from extproc.config.model import Aws, Config, Model, Provider
from extproc.envoy.binary import validate
from extproc.envoy.manifests.envoy_gateway import envoy_gateway
from extproc.envoy.manifests.istio import istio
from extproc.envoy.manifests.kgateway import kgateway
from extproc.envoy.manifests.manifest import Unmade, left_out
from extproc.envoy.manifests.render import Platform, render, shortfalls
from tests.envoy import golden
from tests.envoy.manifests.applied import applied
from tests.envoy.manifests.samples import CONFIG, SPOT

PLATFORMS: tuple[Platform, ...] = ("envoy-gateway", "istio", "kgateway")
VERSIONS = {"envoy-gateway": "1.39", "istio": "1.39", "kgateway": "1.38"}


@pytest.fixture
def update(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update", default=False))


def replaced(**fields: Any) -> Config:
    return msgspec.structs.replace(CONFIG, **fields)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_printed_manifests(platform: Platform, update: bool) -> None:
    text = render(platform, replaced(envoy_version=VERSIONS[platform]), SPOT)
    golden.check(golden.ROOT / "k8s" / "attach" / f"{platform}.yaml", text, update=update)
    assert "secret-of" not in text


@pytest.mark.parametrize("platform", PLATFORMS)
def test_all_of_them_go_into_one_namespace(platform: Platform) -> None:
    objects = [one for one in yaml.safe_load_all(render(platform, CONFIG, SPOT)) if one]
    assert {one["metadata"]["namespace"] for one in objects} == {"ai"}
    named = [(one["kind"], one["metadata"]["name"]) for one in objects]
    assert len(named) == len(set(named))


@pytest.mark.parametrize("platform", PLATFORMS)
def test_nothing_is_open_where_no_worker_answers(platform: Platform) -> None:
    text = render(platform, CONFIG, SPOT)
    assert "failOpen: true" not in text
    assert ("failOpen: false" in text) == (platform != "istio")
    assert "failure_mode_allow" not in text


@pytest.mark.parametrize("platform", PLATFORMS)
def test_workers_have_to_be_on_a_network(platform: Platform) -> None:
    with pytest.raises(Unmade, match="ext_proc"):
        render(platform, replaced(ext_proc=None), SPOT)


@pytest.mark.parametrize("made", [envoy_gateway, kgateway])
def test_many_providers_have_several_routes(made: Any) -> None:
    providers = {f"p{at}": Provider(dialect="openai", base_url=f"http://10.0.0.{at}:8000/v1") for at in range(31)}
    objects = made(replaced(providers=providers, models=(Model(name="*", targets=("p0",)),)), SPOT)
    routes = [one for one in objects if one["kind"] == "HTTPRoute"]
    assert [len(one["spec"]["rules"]) for one in routes] == [16, 15, 1]
    policies = [one["spec"]["targetRefs"] for one in objects if one["kind"] in ("EnvoyExtensionPolicy", "TrafficPolicy")]
    assert [[one["name"] for one in refs] for refs in policies] == [[one["metadata"]["name"] for one in routes]]
    # Gateway API rewrites to no address.
    assert "URLRewrite" not in str(routes)


@pytest.mark.parametrize("made", [envoy_gateway, kgateway])
def test_names_that_kubernetes_would_not_take(made: Any) -> None:
    providers = {name: Provider(dialect="openai", base_url="http://10.0.0.1/v1") for name in ("my_lab", "my-lab", "MY-LAB")}
    objects = made(replaced(providers=providers, models=(Model(name="*", targets=("my-lab",)),)), SPOT)
    backends = {one["metadata"]["name"] for one in objects if one["kind"] == "Backend"}
    assert len(backends) == 4
    assert {"headgate-gate", "headgate-my-lab"} < backends
    assert all(name == name.lower() and "_" not in name for name in backends)


def test_what_only_an_envoy_of_ours_can_do_is_told() -> None:
    url = "https://x.example/v1"
    bound = {
        "demo": Provider(dialect="openai", base_url="demo:"),
        "private": Provider(dialect="openai", base_url=url, ca_file="/etc/ca.crt"),
        "proxied": Provider(dialect="openai", base_url=url, proxy="http://proxy.example:3128"),
        "sealed": Provider(dialect="openai", base_url=url, envoy_key_file="/etc/key"),
    }
    config = replaced(providers={**CONFIG.providers, **bound})
    assert left_out(config) == ["demo", "private", "proxied", "sealed"]
    for platform in ("envoy-gateway", "kgateway"):
        several, left = shortfalls(platform, config)
        assert "(smart)" in several
        assert "demo" in left
        assert "several get 503 here (smart)" in render(platform, config, SPOT)
    assert shortfalls("istio", config) == []


def test_secrets_in_what_is_printed_are_told_and_parts_that_are_not_there() -> None:
    url = "https://x.example/v1"
    bound = {
        "proxied": Provider(dialect="openai", base_url=url, proxy="http://user:password@proxy.example:3128"),
        "signed": Provider(dialect="bedrock", base_url=url, aws=Aws(region="eu-west-1", access_key="a", secret_key="b")),
    }
    config = replaced(providers=bound, envoy=Fragments(clusters=({"name": "docs"},)))
    (told,) = shortfalls("istio", config)
    assert "(providers.proxied: its proxy's password, providers.signed.aws, perhaps what `envoy` refers to)" in told
    for platform in ("envoy-gateway", "kgateway"):
        assert "what `envoy` adds" in shortfalls(platform, config)[-1]


def theirs() -> dict[str, Any]:
    """A gateway of somebody's, as much of it as the patches look at."""
    api = "type.googleapis.com/envoy.extensions.filters"
    manager: dict[str, Any] = {
        "@type": f"{api}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "theirs",
        "route_config": {"name": "http.8080", "virtual_hosts": []},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": f"{api}.http.router.v3.Router"}}],
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    listener = {"name": "theirs", "address": {"socket_address": {"address": "127.0.0.1", "port_value": 8080}}, "filter_chains": [chain]}
    return {"static_resources": {"listeners": [listener], "clusters": []}}


def test_providers_behind_a_proxy_are_reached_with_istio() -> None:
    proxied = Provider(dialect="openai", base_url="https://x.example/v1", proxy="http://proxy.example:3128")
    network = msgspec.structs.replace(CONFIG.ext_proc, tls=None)  # type: ignore[type-var]
    config = replaced(providers={"x": proxied}, models=(Model(name="*", targets=("x",)),), ext_proc=network)
    (envoy_filter,) = istio(config, SPOT)
    bootstrap = applied(theirs(), envoy_filter, "theirs")
    assert len(bootstrap["static_resources"]["listeners"]) == 2
    assert validate(bootstrap) == []


@pytest.mark.parametrize("version", ["1.39", "1.40"])
def test_envoy_takes_what_istio_would_patch(version: str) -> None:
    plain = replaced(envoy_version=version, ext_proc=msgspec.structs.replace(CONFIG.ext_proc, tls=None))  # type: ignore[type-var]
    (envoy_filter,) = istio(plain, SPOT)
    assert validate(applied(theirs(), envoy_filter, "theirs")) == []
    (gate,) = [one for one in envoy_filter["spec"]["configPatches"] if one["patch"]["value"].get("name") == "headgate.gate"]
    gate["patch"]["value"]["typed_config"]["failure_mode_alow"] = True
    assert "failure_mode_alow" in str(validate(applied(theirs(), envoy_filter, "theirs")))

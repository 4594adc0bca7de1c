"""What Envoy Gateway makes of our manifests, by its own translator; and requests to an Envoy that has just that."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from extproc.config.model import Limits
from extproc.doctor.admin import ask
from extproc.doctor.examine import examine
from tests.e2e.gateway import chat
from tests.e2e.ports import free_port
from tests.e2e.test_attach import CLIENT, HASH, KEY, Beside, ask_anthropic, ask_openai, until
from tests.e2e.upstream import Demo
from tests.platforms.egctl import translate

# Of the first one, that is: it starts all.
pytestmark = pytest.mark.timeout(300)

Plain = dict[str, Any]
GATEWAY: list[Plain] = [
    {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "GatewayClass",
        "metadata": {"name": "eg"},
        "spec": {"controllerName": "gateway.envoyproxy.io/gatewayclass-controller"},
    },
    {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "gateway", "namespace": "default"},
        "spec": {"gatewayClassName": "eg", "listeners": [{"name": "http", "protocol": "HTTP", "port": 80}]},
    },
]


@pytest.fixture(scope="module")
def openai_provider() -> Iterator[Demo]:
    with Demo() as demo:
        yield demo


@pytest.fixture(scope="module")
def anthropic_provider() -> Iterator[Demo]:
    with Demo() as demo:
        yield demo


def named(demo: Demo, name: str) -> str:
    return demo.url.replace("127.0.0.1", name)


@pytest.fixture(scope="module")
def beside(openai_provider: Demo, anthropic_provider: Demo) -> Iterator[Beside]:
    """Whose providers have names that only the manifests know."""
    providers = {
        "o": {"dialect": "openai", "base_url": f"{named(openai_provider, 'o.example')}/v1", "key": "sk-provider-o"},
        "a": {"dialect": "anthropic", "base_url": f"{named(anthropic_provider, 'a.example')}/v1", "key": "sk-provider-a"},
    }
    models = [{"name": name, "targets": targets} for name, targets in {"o": ["o/m"], "a": ["a/m"], "both": ["a/m", "o/m"]}.items()]
    filters = [{"meter": {}}, {"auth": {"keys": [{"name": "caller", "hash": HASH}]}}, {"route": {}}]
    network = {"host": "headgate.example", **{f"{name}_port": free_port() for name in ("gate", "adapter", "health")}}
    with tempfile.TemporaryDirectory(prefix="hg-") as folder:
        yield Beside({"providers": providers, "models": models, "filters": filters, "ext_proc": network}, Path(folder))


@pytest.fixture(scope="module")
def manifests(beside: Beside) -> list[Plain]:
    printed = beside.run("compile", "attach", "gateway.yaml", "--for", "envoy-gateway", "--host", "ai.example.com")
    return [one for one in yaml.safe_load_all(printed) if one]


def translated(objects: list[Plain], folder: Path) -> Plain:
    path = folder / "objects.yaml"
    path.write_text(yaml.safe_dump_all([*GATEWAY, *objects]))
    found: Plain = yaml.safe_load(translate(path))
    return found


@pytest.fixture(scope="module")
def whole(beside: Beside, manifests: list[Plain]) -> Plain:
    return translated(manifests, beside.folder)


def bootstrap(found: Plain, beside: Beside) -> Plain:
    """Static resources from what would come by xDS; all names are this machine."""
    (dump,) = found["xds"].values()
    routes = {one["routeConfig"]["name"]: one["routeConfig"] for part in dump["configs"] for one in part.get("dynamicRouteConfigs", ())}
    clusters = [one["cluster"] for part in dump["configs"] for one in part.get("dynamicActiveClusters", ())]
    listeners = [one["activeState"]["listener"] for part in dump["configs"] for one in part.get("dynamicListeners", ())]
    (listener,) = [one for one in listeners if one["name"] == "default/gateway/http"]
    listener["address"] = {"socketAddress": {"address": "127.0.0.1", "portValue": beside.port}}
    manager = listener["defaultFilterChain"]["filters"][0]["typedConfig"]
    config = routes[manager.pop("rds")["routeConfigName"]]
    config["virtualHosts"][0]["domains"] = ["127.0.0.1"]
    for one in (listener, config, *clusters):
        one.pop("@type", None)
    manager["routeConfig"] = config
    text = json.dumps({"listeners": [listener], "clusters": clusters})
    for name in ("o.example", "a.example", "headgate.example"):
        text = text.replace(f'"address": "{name}"', '"address": "127.0.0.1"')
    admin = {"address": {"pipe": {"path": f"{beside.folder}/admin.sock"}}}
    return {"static_resources": json.loads(text), "admin": admin}


@pytest.fixture(scope="module")
def running(beside: Beside, whole: Plain) -> Iterator[Beside]:
    with beside.running(bootstrap(whole, beside)):
        yield beside


def test_each_policy_is_accepted(whole: Plain) -> None:
    kinds = ("clientTrafficPolicies", "backendTrafficPolicies", "envoyExtensionPolicies", "envoyPatchPolicies")
    for kind in kinds:
        for one in whole[kind]:
            said = [condition for ancestor in one["status"]["ancestors"] for condition in ancestor["conditions"]]
            assert said, kind
            assert {condition["status"] for condition in said} == {"True"}, said


def test_what_is_wrong_is_refused(beside: Beside, manifests: list[Plain]) -> None:
    broken = json.loads(json.dumps(manifests))
    (policy,) = [one for one in broken if one["kind"] == "EnvoyExtensionPolicy"]
    policy["spec"]["extProc"][0]["backendSettings"]["http2"]["connectionKeepalive"]["timeout"] = "30s"
    with pytest.raises(ValueError, match="timeout must be less than interval"):
        translated(broken, beside.folder)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["o", "a"])
def test_one_target(running: Beside, openai_provider: Demo, model: str, stream: bool) -> None:
    openai_provider.reset()
    assert "Hello" in ask_openai(running, model, "Hello", stream)
    assert "Hello" in ask_anthropic(running, model, "Hello", stream)
    for seen in openai_provider.requests():
        assert ["authorization", "Bearer sk-provider-o"] in seen["headers"]
        assert ["host", "o.example"] in seen["headers"]
        assert KEY not in str(seen)


def test_several_targets_go_nowhere(running: Beside) -> None:
    answer = CLIENT.post(f"{running.url}/v1/chat/completions", json=chat("Hello", "both"), headers={"x-api-key": KEY})
    assert answer.status_code == 503


def test_nobody_comes_in_without_a_key(running: Beside) -> None:
    for headers in ({}, {"x-headgate-cluster": "provider_o"}):
        assert CLIENT.post(f"{running.url}/v1/chat/completions", json=chat("Hello", "o"), headers=headers).status_code == 401


def test_large_prompts_pass(running: Beside) -> None:
    assert "built-in demo provider" in ask_openai(running, "o", "x" * 5_000_000, stream=False)


def test_requests_are_metered(running: Beside) -> None:
    before = running.requests("model").get("a", 0)
    ask_openai(running, "a", "Hello", stream=True)
    until(lambda: running.requests("model").get("a", 0) == before + 1, "it is in the ledger")


def test_the_doctor_finds_nothing_that_breaks(running: Beside) -> None:
    found = examine(ask(f"unix:{running.folder}/admin.sock", Limits()))
    assert [f"{one.where}: {one.what}" for one in found if one.level == "breaks"] == []


def test_without_the_patch_answers_would_be_cut(beside: Beside, manifests: list[Plain]) -> None:
    unpatched = [one for one in manifests if one["kind"] != "EnvoyPatchPolicy"]
    plain = json.dumps(translated(unpatched, beside.folder)["xds"])
    (filters,) = [part for part in plain.split('"grpcService": ')[1:] if '"timeout": "10s"' in part[:400]]
    assert "mutationRules" not in filters[:1500]

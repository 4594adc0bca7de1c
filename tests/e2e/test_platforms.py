"""Headgate at Envoys of platforms: with what Istio would patch, and with the settings that kgateway leaves us.

Istio puts all parts in, as `compile attach` prints them. kgateway has no words for several of the filter's settings, so this Envoy lacks
them: no `mutation_rules`, no metadata that the gate may set, no attributes of responses; and providers have routes of their own, which ask
for the header by which the gate names a target. Its filter is within a composite one, as kgateway makes it.
"""

import re
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
from tests.e2e.test_attach import CLIENT, HASH, KEY, Beside, ask_anthropic, ask_openai, by_name, cluster, theirs, until
from tests.e2e.upstream import Demo, Scripted
from tests.envoy.manifests.applied import applied

Plain = dict[str, Any]
TYPE = "type.googleapis.com/envoy.extensions"
GATE = "ext_proc/default/headgate"


@pytest.fixture(scope="module")
def app() -> Iterator[Scripted]:
    with Scripted() as running:
        yield running


def configured(openai_provider: Demo, anthropic_provider: Demo, folder: Path) -> Beside:
    """A gateway on a network, which here is this machine."""
    providers = {
        "o": {"dialect": "openai", "base_url": f"{by_name(openai_provider)}/v1", "key": "sk-provider-o"},
        "a": {"dialect": "anthropic", "base_url": f"{by_name(anthropic_provider)}/v1", "key": "sk-provider-a"},
    }
    targets = {"o": ["o/m"], "a": ["a/m"], "a-then-o": ["a/first", "o/second"]}
    filters = [{"meter": {}}, {"auth": {"keys": [{"name": "caller", "hash": HASH}]}}, {"route": {}}]
    network = {f"{name}_port": free_port() for name in ("gate", "adapter", "health")}
    models = [{"name": name, "targets": one} for name, one in targets.items()]
    return Beside({"providers": providers, "models": models, "filters": filters, "ext_proc": network}, folder)


def manifests(beside: Beside, platform: str) -> list[Plain]:
    printed = beside.run("compile", "attach", "gateway.yaml", "--for", platform, "--host", "127.0.0.1", "--port", str(beside.port))
    return [one for one in yaml.safe_load_all(printed) if one is not None]


@pytest.fixture(scope="module")
def istio(openai_provider: Demo, anthropic_provider: Demo, app: Scripted) -> Iterator[Beside]:
    with tempfile.TemporaryDirectory(prefix="hg-") as name:
        beside = configured(openai_provider, anthropic_provider, Path(name))
        (envoy_filter,) = manifests(beside, "istio")
        with beside.running(applied(theirs(beside.port, app), envoy_filter, "theirs")):
            yield beside


@pytest.fixture(scope="module")
def kgateway(openai_provider: Demo, anthropic_provider: Demo, app: Scripted) -> Iterator[Beside]:
    with tempfile.TemporaryDirectory(prefix="hg-") as name:
        beside = configured(openai_provider, anthropic_provider, Path(name))
        bootstrap = translated(theirs(beside.port, app), manifests(beside, "kgateway"))
        with beside.running({**bootstrap, "admin": {"address": {"pipe": {"path": f"{name}/admin.sock"}}}}):
            yield beside


def translated(bootstrap: Plain, objects: list[Plain]) -> Plain:
    """What kgateway makes of these objects, as far as a request notices (its translator's own test data, v2.4.0)."""
    of = {(one["kind"], one["metadata"]["name"]): one["spec"] for one in objects}
    clusters = []
    for (kind, name), spec in of.items():
        if kind == "Backend":
            (host,) = spec["static"]["hosts"]
            one = cluster(name, host["port"])
            if of[("BackendConfigPolicy", name)].get("http2ProtocolOptions"):
                http2: Plain = {"explicit_http_config": {"http2_protocol_options": {}}}
                options = {"@type": f"{TYPE}.upstreams.http.v3.HttpProtocolOptions", **http2}
                one["typed_extension_protocol_options"] = {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options}
            clusters.append(one)
    resources = bootstrap["static_resources"]
    resources["clusters"] += clusters
    (listener,) = resources["listeners"]
    policy = of[("ListenerPolicy", "headgate")]["default"]
    listener["per_connection_buffer_limit_bytes"] = policy["perConnectionBufferLimitBytes"]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    early = [{"remove": name} for name in policy["httpSettings"]["earlyRequestHeaderModifier"]["remove"]]
    mutation = {"@type": f"{TYPE}.http.early_header_mutation.header_mutation.v3.HeaderMutation", "mutations": early}
    manager["early_header_mutation_extensions"] = [{"name": "envoy.http.early_header_mutation.header_mutation", "typed_config": mutation}]
    manager["use_remote_address"] = True
    manager["http_filters"].insert(0, composite(of[("GatewayExtension", "headgate")]["extProc"]))
    route = of[("HTTPRoute", "headgate")]
    routes = [translated_rule(rule, of[("DirectResponse", "headgate")]["status"]) for rule in route["rules"]]
    manager["route_config"]["virtual_hosts"].append(
        {"name": "ours", "domains": [f"{name}:*" for name in route["hostnames"]], "routes": routes}
    )
    return bootstrap


def translated_rule(rule: Plain, status: int) -> Plain:
    on = {GATE: {"@type": f"{TYPE}.filters.http.ext_proc.v3.ExtProcPerRoute", "overrides": {}}}
    made: Plain = {"match": {"prefix": "/"}, "typed_per_filter_config": on}
    if "backendRefs" not in rule:
        return {**made, "direct_response": {"status": status}}
    ((header,),) = [match["headers"] for match in rule["matches"]]
    made["match"]["headers"] = [{"name": header["name"], "string_match": {"exact": header["value"]}}]
    rewrite, modifier = rule["filters"]
    made["request_headers_to_remove"] = modifier["requestHeaderModifier"]["remove"]
    (backend,) = rule["backendRefs"]
    made["route"] = {
        "cluster": backend["name"], "timeout": rule["timeouts"]["request"], "host_rewrite_literal": rewrite["urlRewrite"]["hostname"],
    }  # fmt: skip
    return made


def snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda found: f"_{found[0].lower()}", name)


def composite(spec: Plain) -> Plain:
    retry = spec["grpcService"]["retry"]
    processor = {
        "@type": f"{TYPE}.filters.http.ext_proc.v3.ExternalProcessor",
        "grpc_service": {
            "envoy_grpc": {"cluster_name": spec["grpcService"]["backendRef"]["name"]},
            "retry_policy": {"num_retries": retry["attempts"]},
        },
        "failure_mode_allow": spec["failOpen"],
        "processing_mode": {snake(key): value for key, value in spec["processingMode"].items()},
        "allow_mode_override": spec["allowProcessingModeOverride"],
        "message_timeout": spec["messageTimeout"],
        "metadata_options": {"forwarding_namespaces": spec["metadataOptions"]["forwarding"]},
    }
    off = {
        "input": {
            "name": "disable",
            "typed_config": {
                "@type": f"{TYPE}.matching.common_inputs.network.v3.DynamicMetadataInput",
                "filter": "dev.kgateway.disable_ext_proc",
                "path": [{"key": "disable"}],
            },
        },
        "custom_match": {
            "name": "envoy.matching.matchers.metadata_matcher",
            "typed_config": {
                "@type": f"{TYPE}.matching.input_matchers.metadata.v3.Metadata",
                "value": {"bool_match": True},
                "invert": True,
            },
        },
    }
    action = {
        "name": "composite-action",
        "typed_config": {
            "@type": f"{TYPE}.filters.http.composite.v3.ExecuteFilterAction",
            "typed_config": {"name": "envoy.filters.http.ext_proc", "typed_config": processor},
        },
    }
    matcher = {"matcher_list": {"matchers": [{"predicate": {"single_predicate": off}, "on_match": {"action": action}}]}}
    wrapped = {
        "@type": f"{TYPE}.common.matching.v3.ExtensionWithMatcher",
        "extension_config": {"name": "composite_ext_proc", "typed_config": {"@type": f"{TYPE}.filters.http.composite.v3.Composite"}},
        "xds_matcher": matcher,
    }
    return {"name": GATE, "disabled": True, "typed_config": wrapped}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["o", "a", "a-then-o"])
def test_all_is_as_attached_with_istio(istio: Beside, anthropic_provider: Demo, model: str, stream: bool) -> None:
    text = "Hello [demo@anthropic: status=503]" if model == "a-then-o" else "Hello"
    assert "Hello" in ask_openai(istio, model, text, stream)
    assert "Hello" in ask_anthropic(istio, model, text, stream)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["o", "a"])
def test_one_target_with_what_kgateway_leaves(kgateway: Beside, openai_provider: Demo, model: str, stream: bool) -> None:
    assert "Hello" in ask_openai(kgateway, model, "Hello", stream)
    assert "Hello" in ask_anthropic(kgateway, model, "Hello", stream)
    for seen in openai_provider.requests():
        assert ["authorization", "Bearer sk-provider-o"] in seen["headers"]
        assert ["host", "localhost"] in seen["headers"]
        assert KEY not in str(seen)
        # Envoy's own word of the host that it has rewritten.
        assert {name for name, _ in seen["headers"] if name.startswith(("x-envoy", "x-headgate"))} == {"x-envoy-original-host"}


def test_several_targets_go_nowhere_there(kgateway: Beside, openai_provider: Demo, anthropic_provider: Demo) -> None:
    headers = {"authorization": f"Bearer {KEY}", "x-headgate-cluster": "provider_o"}
    answer = CLIENT.post(f"{kgateway.url}/v1/chat/completions", json=chat("Hello", "a-then-o"), headers=headers)
    assert answer.status_code == 503
    assert openai_provider.requests() == anthropic_provider.requests() == []


def test_nobody_comes_in_there_without_a_key(kgateway: Beside, istio: Beside, openai_provider: Demo) -> None:
    for beside in (kgateway, istio):
        answer = CLIENT.post(f"{beside.url}/v1/chat/completions", json=chat("Hello", "o"), headers={"x-headgate-cluster": "provider_o"})
        assert answer.status_code == 401
        assert openai_provider.requests() == []


def test_large_prompts_pass_there(kgateway: Beside) -> None:
    assert "built-in demo provider" in ask_openai(kgateway, "o", "x" * 5_000_000, stream=False)


def test_requests_are_metered_there(kgateway: Beside) -> None:
    before = kgateway.requests("model").get("a", 0)
    ask_openai(kgateway, "a", "Hello", stream=True)
    until(lambda: kgateway.requests("model").get("a", 0) == before + 1, "it is in the ledger")


def test_the_doctor_knows_what_kgateway_leaves(kgateway: Beside) -> None:
    found = examine(ask(f"unix:{kgateway.folder}/admin.sock", Limits()))
    ours = [f"{one.level}: {one.what}" for one in found if one.where == f"listener theirs, filter {GATE}"]
    assert ours == [
        "weakens: mutation_rules.allow_envoy is off",
        "weakens: metadata is not taken: headgate, headgate.targets",
        "weakens: response_attributes leaves out upstream.request_attempt_count, response.code_details",
    ]
    assert [one.what for one in found if one.level == "breaks"] == []

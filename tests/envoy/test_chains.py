"""What an Envoy before 1.40 is told of models with several targets."""

from pathlib import Path
from typing import Any

import certifi
import pytest
from msgspec.structs import replace

from extproc.config.model import Aim, Aws, Config, Model, Provider
from extproc.config.retries import Retries
from extproc.envoy import names
from extproc.envoy.binary import validate
from extproc.envoy.chains import orders
from extproc.envoy.clusters import provider_clusters
from extproc.envoy.compile import compile_attach, compile_edge
from extproc.envoy.places import Places, below
from extproc.envoy.routes import virtual_host
from tests.envoy.samples import SEVERAL
from tests.scene import CHAT, CONFIG, Scene
from tests.test_gate import asked, gate

OLD = replace(SEVERAL, envoy_version="1.36")


def config(*models: Model, **more: Any) -> Config:
    providers = {name: Provider(dialect="openai", base_url=f"https://{name}.example/v1") for name in "abc"}
    providers["d"] = Provider(dialect="openai", base_url="demo:")
    providers["s"] = Provider(dialect="bedrock", base_url="https://s.example", aws=Aws(region="eu-west-1"))
    return Config(providers=providers, models=models, envoy_version=more.pop("envoy_version", "1.38"), **more)


def test_an_order_begins_with_each() -> None:
    one = Model(name="m", targets=(Aim(to="a/x", tier=2), "b/y", "c/z"))
    assert list(orders(config(one))) == [("b", "c", "a"), ("c", "b", "a"), ("a", "b", "c")]
    assert orders(config(one, envoy_version="1.40")) == {}
    assert orders(config(Model(name="m", targets=("a",)))) == {}
    # Of models with the same providers there is one.
    assert len(orders(config(one, replace(one, name="n")))) == 3


def test_what_cannot_stand_beside_others() -> None:
    assert orders(config(Model(name="m", targets=("a", "d")), Model(name="n", targets=("s", "a")))) == {}


def test_a_provider_a_priority_each_with_its_own_name_and_certificate() -> None:
    found = {one["name"]: one for one in provider_clusters(OLD, Places())}
    chain = found["chain_openai+anthropic"]
    groups = chain["load_assignment"]["endpoints"]
    assert [group["priority"] for group in groups] == [0, 1]
    metadata = [group["lb_endpoints"][0]["metadata"]["filter_metadata"] for group in groups]
    assert [one[names.NAMESPACE][names.AT] for one in metadata] == ["0", "1"]
    sockets = {one["name"]: (one["match"], one["transport_socket"]["typed_config"]["sni"]) for one in chain["transport_socket_matches"]}
    assert sockets == {"openai": ({"provider": "openai"}, "api.openai.com"), "anthropic": ({"provider": "anthropic"}, "api.anthropic.com")}
    assert [one["envoy.transport_socket_match"]["provider"] for one in metadata] == ["openai", "anthropic"]
    assert not [name for name in {one["name"] for one in provider_clusters(SEVERAL, Places())} if name.startswith(names.CHAIN)]


def test_a_retry_goes_to_the_next_priority() -> None:
    routes = {route["name"]: route["route"] for route in virtual_host(OLD)["routes"]}
    assert routes["silence-120-adapter"]["cluster_header"] == names.CLUSTER_HEADER
    assert routes["silence-120-adapter"]["retry_policy"]["retry_priority"]["typed_config"]["update_frequency"] == 1
    assert "retry_priority" not in routes["silence-120"]["retry_policy"]
    assert "priority_group" not in str(compile_edge(OLD, Places()))


@pytest.mark.parametrize("version", ["1.36", "1.39"])
def test_envoy_takes_it(tmp_path: Path, version: str) -> None:
    assert validate(compile_edge(replace(SEVERAL, envoy_version=version), below(str(tmp_path), ca_file=certifi.where()))) == []


def test_what_1_36_does_not_know() -> None:
    for form in (compile_edge, compile_attach):
        assert "'allow_content_length_header': True" not in str(form(OLD, Places()))
        assert "'allow_content_length_header': True" in str(form(replace(OLD, envoy_version="1.38"), Places()))


def test_the_gate_names_a_chain_or_the_first_target_alone() -> None:
    old = replace(CONFIG, envoy_version="1.39", retries=Retries(again=2))
    _, session = gate(Scene(old))
    reply = asked(session, {**CHAT, "model": "both"})
    assert reply.headers["x-headgate-cluster"] == "chain_openai+anthropic"
    assert (reply.headers["x-envoy-max-retries"], reply.metadata["headgate"]["adapter"]) == ("1", "1")
    assert "headgate.targets" not in reply.metadata
    models = tuple(replace(one, targets=(*one.targets, "other/x")) if one.name == "both" else one for one in old.models)
    providers = {**old.providers, "other": Provider(dialect="openai", base_url="demo:")}
    _, session = gate(Scene(replace(old, models=models, providers=providers)))
    reply = asked(session, {**CHAT, "model": "both"})
    assert reply.headers["x-headgate-cluster"] == "provider_openai"
    assert "adapter" not in reply.metadata["headgate"]

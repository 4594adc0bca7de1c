"""What Envoy is told of callers whom it, or a proxy in front, is to know."""

import subprocess
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from extproc.config.callers import Callers, Issuer, Mesh, Workload
from extproc.config.model import Config, Model, Provider
from extproc.control.effect import needs_restart
from extproc.envoy import names
from extproc.envoy.attach import shared_manager_parts
from extproc.envoy.binary import find_envoy
from extproc.envoy.compile import compile_edge
from extproc.envoy.document import to_yaml
from extproc.envoy.forms import render
from extproc.envoy.jwt import enabled
from extproc.envoy.listener import connection_manager_parts, mirrors_listener
from extproc.envoy.places import Places, below
from tests.callers.signer import jwks, public

SMALL = Config(
    providers={"openai": Provider(dialect="openai", base_url="https://127.0.0.1/v1")}, models=(Model(name="m", targets=("openai",)),)
)
INLINE = Issuer(issuer="https://a.test", audiences=("gw",), jwks=jwks(public("p256", "k")), verify="envoy")
REMOTE = Issuer(issuer="https://b.test", audiences=("gw",), jwks_url="https://b.test/keys", verify="envoy", metadata="b")
FRONT = Issuer(issuer="https://c.test", audiences=("gw",), verify="front")
MESH = Mesh(workloads=(Workload(uri="spiffe://a/{key}"),), trusted=True)


def config(*jwt: Issuer, mesh: Mesh | None = None) -> Config:
    return replace(SMALL, callers=Callers(jwt=jwt, mesh=mesh))


def by_name(filters: list[dict[str, Any]]) -> dict[str, Any]:
    return {one["name"]: one for one in filters}


def filters(one: Config) -> dict[str, Any]:
    """Those of our listener, by name."""
    return by_name(connection_manager_parts(one, Places())["http_filters"])


def forwarded(gate: dict[str, Any]) -> list[str]:
    told: list[str] = gate["typed_config"]["metadata_options"]["forwarding_namespaces"]["untyped"]
    return told


def test_nothing_is_told_where_nothing_is_wanted() -> None:
    for one in (config(), config(replace(INLINE, verify="gateway")), config(mesh=replace(MESH, trusted=False))):
        assert filters(one) == filters(SMALL)
        assert "forward_client_cert_details" not in manager(mirrors_listener(one, Places(), files=True))


def test_the_filter_stands_before_the_gate() -> None:
    told = filters(config(INLINE, REMOTE))
    order = list(told)
    assert order.index(names.TOKEN_FILTER) + 1 == order.index(names.GATE_FILTER)
    assert names.JWT_NAMESPACE in forwarded(told[names.GATE_FILTER])
    providers = told[names.TOKEN_FILTER]["typed_config"]["providers"]
    assert [one["payload_in_metadata"] for one in providers.values()] == ["https://a.test", "b"]


def test_what_is_checked_in_front_needs_no_filter() -> None:
    told = filters(config(FRONT))
    assert names.TOKEN_FILTER not in told
    assert names.JWT_NAMESPACE in forwarded(told[names.GATE_FILTER])


def manager(listener: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = listener["filter_chains"][0]["filters"][0]["typed_config"]
    return found


def test_copies_for_mirrors_bring_no_tokens() -> None:
    told = by_name(manager(mirrors_listener(config(INLINE), Places(), files=True))["http_filters"])
    assert names.TOKEN_FILTER not in told
    assert names.JWT_NAMESPACE not in forwarded(told[names.GATE_FILTER])


def test_in_an_envoy_of_somebody_elses_the_filter_is_off_but_for_us() -> None:
    told = by_name(shared_manager_parts(config(INLINE), Places())["http_filters"])
    assert told[names.TOKEN_FILTER]["disabled"] is True
    assert enabled(config(INLINE)).keys() == {names.TOKEN_FILTER}
    text = render("attach", config(FRONT, mesh=MESH), below("/run/x"))
    assert "payload_in_metadata" in text
    assert "SANITIZE_SET" in text


def test_it_takes_effect_with_the_next_start() -> None:
    for changed in (config(INLINE), config(mesh=MESH)):
        assert any("callers" in name for name in needs_restart(SMALL, changed))
    assert needs_restart(SMALL, config(replace(INLINE, verify="gateway"))) == []


def test_envoy_takes_it(tmp_path: Path) -> None:
    compiled = compile_edge(config(INLINE, REMOTE, FRONT, mesh=MESH), below(str(tmp_path)))
    parts = manager(compiled["static_resources"]["listeners"][0])
    assert parts["forward_client_cert_details"] == "ALWAYS_FORWARD_ONLY"
    told = by_name(parts["http_filters"])[names.TOKEN_FILTER]["typed_config"]["providers"]
    clusters = {one["name"] for one in compiled["static_resources"]["clusters"]}
    assert told["issuer-1"]["remote_jwks"]["http_uri"]["cluster"] in clusters
    path = tmp_path / "envoy.yaml"
    path.write_text(to_yaml(compiled))
    command = [find_envoy(), "--mode", "validate", "-c", str(path), "--log-level", "error"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
